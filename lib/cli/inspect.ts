import { foundExtents } from '../disk/volume.js'
import { type DissectedVolume, type Dissection, dissect } from '../image/dissect.js'
import { openImage } from '../image/open.js'
import type { ImageFacts } from '../mount/facts.js'
import { printable } from '../text.js'
import { dissectOptions, type ImageOptions } from './options.js'
import { describeExtents, formatSize, note, noteSource, print, printJson, printTable } from './output.js'

export interface InspectVerbOptions extends ImageOptions {
  readonly contents?: boolean
}

export async function runInspect(path: string, options: InspectVerbOptions): Promise<void> {
  await using image = await openImage(path, { nested: options.nested ?? false })
  const dissection = await dissect(image, await dissectOptions(options))
  if (options.json !== 'off') {
    const contents = options.contents ? { contents: await factsOf(path, options) } : {}
    printJson({ ...describe(dissection), ...contents }, options.json)
    return
  }
  const { table } = image
  const kind = {
    gpt: `GPT ${table.uuid} (${table.source} copy)`,
    super: `Android super partition (${table.source} copy)`,
    none: 'no partition table',
  }[table.type]
  print(`${printable(path)}: ${formatSize(image.size)}, ${kind}, ${image.sectorSize}-byte sectors\n`)
  for (const { message } of [...table.problems, ...dissection.problems]) note(message)
  await printTable(
    ['VOLUME', 'ARCH', 'LABEL', 'SIZE', 'FSTYPE', 'FLAGS', 'USED', 'UUID'],
    dissection.volumes.map((volume) => [
      volume.designator,
      volume.architecture,
      volume.label,
      formatSize(volume.size),
      volume.fileSystem?.type ?? null,
      flagNames(volume),
      usedFor(dissection, volume),
      volume.uuid,
    ]),
  )
  if (options.contents) printFacts(await factsOf(path, options))
}

async function factsOf(path: string, options: InspectVerbOptions): Promise<ImageFacts> {
  const [{ withTree }, { readFacts }] = await Promise.all([import('../mount/tree.js'), import('../mount/facts.js')])
  return await withTree(
    path,
    { ...(await dissectOptions(options)), nested: options.nested ?? false },
    (root, source) => {
      noteSource(source)
      return readFacts(root, path)
    },
  )
}

function printFacts({ hostname, machineId, uses, ...fields }: ImageFacts): void {
  const lines: (readonly [string, string])[] = [
    ...(hostname === null ? [] : [['Hostname', hostname] as const]),
    ...(machineId === null ? [] : [['Machine ID', machineId] as const]),
  ]
  const groups = {
    'Machine info': fields.machineInfo,
    'OS release': fields.osRelease,
    'Initrd release': fields.initrdRelease,
    'Sysext release': fields.sysextRelease,
    'Confext release': fields.confextRelease,
  }
  for (const [title, group] of Object.entries(groups))
    for (const [index, [name, value]] of Object.entries(group).entries())
      lines.push([index === 0 ? title : '', `${name}=${value}`])
  lines.push(['Use as', uses.join(', ') || '-'])
  print('')
  for (const [title, text] of lines) print(`${(title === '' ? '' : `${title}:`).padEnd(17)}${printable(text)}`)
}

function flagNames({ flags }: DissectedVolume): string {
  return Object.entries({ ro: flags.readOnly, noauto: flags.noAuto, grow: flags.growFileSystem })
    .flatMap(([name, set]) => (set ? [name] : []))
    .join(',')
}

/** What this machine would use a volume for, and whether a root hash vouches for it. */
function usedFor({ roles, verity }: Dissection, volume: DissectedVolume): string | null {
  for (const [designator, used] of roles) {
    if (used !== volume) continue
    const protection = designator === 'root' || designator === 'usr' ? verity.get(designator) : undefined
    if (!protection?.trusted) return designator
    return `${designator} (${protection.signature ? 'signed' : 'verified'})`
  }
  for (const [designator, { hash, trusted }] of verity)
    if (trusted && hash.kind === 'volume' && hash.volume === volume) return `tree of ${designator}`
  return null
}

/** The JSON of `inspect`: in bytes, UUIDs in lower case. A shape that programs rely on. */
function describe({ image, volumes, verity, problems }: Dissection) {
  return {
    image: image.name,
    size: image.size,
    sectorSize: image.sectorSize,
    table: {
      type: image.table.type,
      uuid: image.table.uuid,
      source: image.table.source,
      problems: [...image.table.problems, ...problems],
    },
    volumes: volumes.map((volume) => {
      const pair = [...verity.values()].find(({ data }) => data === volume)
      return {
        designator: volume.designator,
        architecture: volume.architecture,
        uuid: volume.uuid,
        typeUuid: volume.typeUuid,
        label: volume.label,
        flags: volume.flags,
        size: volume.size,
        extents: describeExtents(foundExtents(volume)),
        fileSystem: volume.fileSystem ?? null,
        verity: pair
          ? {
              rootHash: pair.trusted ? Buffer.from(pair.rootHash).toString('hex') : null,
              dataVolume: pair.data.uuid,
              hashVolume: pair.hash.kind === 'volume' ? pair.hash.volume.uuid : null,
              ...(pair.trusted && pair.signature && { signer: pair.signature.signer }),
            }
          : null,
      }
    }),
    orphans: image.orphans,
  }
}
