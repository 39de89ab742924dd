import { DdiError } from '../../errors.js'
import { dissect } from '../../image/dissect.js'
import type { Dissection, Verity } from '../../image/dissection.js'
import { type Image, openImage } from '../../image/open.js'
import { dissectRemains } from '../../image/remains.js'
import type { ImageFacts } from '../../mount/facts.js'
import type { MountOptions } from '../../mount/options.js'
import { printable } from '../../text.js'
import { printFacts } from '../facts.js'
import { writeReport } from '../inspect-report.js'
import { untilInterrupted } from '../interrupt.js'
import { noteProblems, noteSource } from '../notes.js'
import { dissectOptions, type ImageValues, imageArgument, imageOptions } from '../options.js'
import { formatSize, print, printJson } from '../output.js'
import { array, boolean, described, nullable, object, string, word } from '../schema.js'
import { bytes, contents, fileSystem, hexadecimal, orphan, problem, uuid, volumeFields } from '../shapes.js'
import { isTableAlone, printTable, type TableValues, tableOptions } from '../table.js'
import { usedFor } from '../used-for.js'
import { newFile } from '../values.js'
import { flag, type JsonValues, option, verb } from '../verb.js'
import { describeOrphan, describeVolume } from '../volume.js'
import { flagNames } from '../volume-flags.js'

export default verb({
  summary: 'show what an image holds, without attaching it',
  arguments: [imageArgument],
  options: {
    contents: flag('--contents', 'also read its files: os-release, hostname, possible uses; mounts it if permitted'),
    report: option('--report <file>', 'also write a page that shows it, with its files, for a browser', newFile),
    force: flag('--force', 'replace the file of the report'),
    ...tableOptions,
    ...imageOptions,
  },
  json: object({
    image: string,
    size: bytes,
    sectorSize: bytes,
    table: object({
      type: word('gpt', 'mbr', 'super', 'none'),
      uuid: nullable(string),
      source: nullable(word('primary', 'backup')),
      problems: array(problem),
    }),
    volumes: array(
      object({
        ...volumeFields,
        fileSystem: nullable(fileSystem),
        noExec: described(boolean, 'no root hash covers it, while one covers another volume'),
        verity: nullable(
          object({
            rootHash: nullable(hexadecimal),
            dataVolume: nullable(uuid),
            hashVolume: nullable(uuid),
            signer: nullable(string),
          }),
        ),
      }),
    ),
    orphans: array(orphan),
    contents: nullable(contents),
  }),
  examples: [
    'ddi-attach inspect image.raw',
    'ddi-attach inspect image.raw --report image.html',
    'ddi-attach inspect image.raw -n -o LABEL,FSTYPE',
    'ddi-attach inspect image.raw --json=short | jq .volumes[].label',
  ],
  async run([path], options) {
    const show = () => inspect(path, options)
    if (!options.contents && options.report === undefined) return await show()
    const { inOwnNamespace } = await import('../namespace.js')
    await inOwnNamespace(show)
  },
})

type InspectValues = ImageValues &
  JsonValues &
  TableValues & {
    readonly contents: boolean
    readonly report: string | undefined
    readonly force: boolean
  }

async function inspect(path: string, options: InspectValues): Promise<void> {
  const { nested, contents, json } = options
  await using image = await openImage(path, { nested }).catch((error: unknown) => showRemains(path, options, error))
  const dissection = await dissect(image, await dissectOptions(options))
  const reported =
    options.report === undefined
      ? undefined
      : await writeReport(options.report, dissection, { ...(await contentsWork(options)), replace: options.force })
  // A page is made of files that cannot be read, too; whoever asks for them alone is told why.
  const readFacts = async () => (reported && 'facts' in reported ? reported.facts : await factsOf(image, options))
  if (json !== 'off') {
    printJson(describe(dissection, contents ? await readFacts() : null), json)
    return
  }
  await printDissection(path, dissection, options)
  noteProblems([...image.table.problems, ...dissection.problems])
  if (contents) printFacts(await readFacts())
}

/** Shows what a table says nevertheless. @throws why it is refused */
async function showRemains(path: string, options: InspectValues, refusal: unknown): Promise<never> {
  const isOfTable = refusal instanceof DdiError && refusal.code.startsWith('ERR_DDI_GPT_')
  const remains = isOfTable ? await dissectRemains(path, refusal) : undefined
  if (remains) {
    await using _ = remains.image
    if (options.json === 'off') await printDissection(path, remains, options)
    else printJson(describe(remains, null), options.json)
  }
  throw refusal
}

async function factsOf(image: Image, options: ImageValues): Promise<ImageFacts> {
  const [{ withTree }, { readFacts }] = await Promise.all([
    import('../../mount/tree.js'),
    import('../../mount/facts.js'),
  ])
  return await withTree(image, await contentsWork(options), (tree) => {
    noteSource(tree.source)
    return readFacts(tree, image.name)
  })
}

/** How the files of the system are read. */
async function contentsWork(options: ImageValues): Promise<MountOptions> {
  const system = { nested: options.nested, designators: ['root', 'usr'] } as const
  return { ...(await dissectOptions(options)), ...system, signal: untilInterrupted() }
}

async function printDissection(path: string, dissection: Dissection, options: TableValues): Promise<void> {
  const { image, volumes } = dissection
  const { table } = image
  const kind = {
    gpt: `GPT ${table.uuid} (${table.source} copy)`,
    mbr: `MBR ${table.uuid}`,
    super: `Android super partition (${table.source} copy)`,
    none: 'no partition table',
  }[table.type]
  const size = formatSize(image.size)
  if (!isTableAlone(options)) print(`${printable(path)}: ${size}, ${kind}, ${image.sectorSize}-byte sectors\n`)
  await printTable(
    ['VOLUME', 'ARCH', 'LABEL', 'SIZE', 'FSTYPE', 'FLAGS', 'USED', 'UUID'],
    volumes.map((volume) => [
      volume.designator,
      volume.architecture,
      volume.label,
      { bytes: volume.size },
      volume.fileSystem?.type ?? null,
      flagNames(volume),
      usedFor(dissection, volume),
      volume.uuid,
    ]),
    options,
  )
}

/** The JSON of `inspect`, a shape that programs rely on: in bytes, UUIDs in lower case. */
function describe({ image, volumes, verity, exceptions, problems }: Dissection, contents: ImageFacts | null) {
  const { type, uuid, source } = image.table
  return {
    image: image.name,
    size: image.size,
    sectorSize: image.sectorSize,
    table: { type, uuid, source, problems: [...image.table.problems, ...problems] },
    volumes: volumes.map((volume) => ({
      ...describeVolume(volume),
      fileSystem: volume.fileSystem ?? null,
      noExec: volume.state === 'whole' && exceptions.get(volume) === 'noexec',
      verity: describeVerity([...verity.values()].find(({ data }) => data === volume)),
    })),
    orphans: image.orphans.map(describeOrphan),
    contents,
  }
}

function describeVerity(pair: Verity | undefined) {
  if (!pair) return null
  return {
    rootHash: pair.trusted ? Buffer.from(pair.rootHash).toString('hex') : null,
    dataVolume: pair.data.uuid,
    hashVolume: pair.hash.kind === 'volume' ? pair.hash.volume.uuid : null,
    signer: (pair.trusted && pair.signature?.signer) || null,
  }
}
