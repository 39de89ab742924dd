import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fewestEntries, mostEntries } from '../../attach/init-disk.js'
import { DdiError } from '../../errors.js'
import { type DataVolume, dataDesignators, type InstalledDisk, installDisk } from '../../install/install-disk.js'
import { parameterValue } from '../../kernel-command-line.js'
import { parseSize } from '../../size.js'
import { defaultTries, mostTries } from '../../store/state.js'
import { printable } from '../../text.js'
import { choice } from '../choice.js'
import { diskArgument } from '../disk-arguments.js'
import { dryRunOption } from '../dry-run.js'
import { given } from '../given.js'
import { certificatesOf } from '../options.js'
import { formatSize, note, print, printJson } from '../output.js'
import { downloadProgress } from '../progress.js'
import { pullWork } from '../pull-options.js'
import { noteRounded } from '../rounded.js'
import { array, nullable, object, string, word } from '../schema.js'
import { bytes, dryRun, image, path, receivedFields, requested, uuid, volumeFields } from '../shapes.js'
import { describeImage } from '../store.js'
import { storePullOptions } from '../store-pull.js'
import { pair, size, text, wholeNumber } from '../values.js'
import { flag, option, repeatable, requiredOption, verb } from '../verb.js'
import { describeVolume } from '../volume.js'

const designator = choice(...dataDesignators)

function dataVolume(given: string): DataVolume {
  const [name, size] = pair('NAME=SIZE')(given)
  return { designator: designator(name), size: parseSize(size) }
}

export default verb({
  summary: 'make the disk of a machine: a table, an EFI partition with a UKI, first images, and room for more',
  arguments: [diskArgument],
  options: {
    uki: requiredOption('--uki <file>', 'what the firmware starts, of `uki build`', text),
    image: repeatable(
      '--image <image>',
      'URL (http, https, file) or path of a first image, PRODUCT_VERSION.raw…',
      text,
    ),
    volume: repeatable(
      '--volume <name=size>',
      `also make a volume for data that outlives images: ${dataDesignators.join(', ')}; its file system grows into it when it is mounted first`,
      dataVolume,
    ),
    entries: option(
      '--entries <count>',
      `how many partitions the table can name, ${fewestEntries} to ${mostEntries}`,
      wholeNumber(fewestEntries, mostEntries),
      `${fewestEntries}`,
    ),
    espSize: option('--esp-size <size>', 'of the EFI partition (default: three times the UKI, 64M at least)', size),
    tries: option(
      '--tries <count>',
      `how many boots an image gets to become good, 1 to ${mostTries}`,
      wholeNumber(1, mostTries),
      `${defaultTries}`,
    ),
    force: flag('--force', 'overwrite what the disk holds'),
    ...dryRunOption,
    progress: option('--progress <how>', 'json: print events on standard error, one a line', choice('json')),
    ...storePullOptions,
  },
  json: object({
    path,
    uuid,
    dryRun,
    uki: object({ path, size: bytes, removablePath: string, kernelVersion: nullable(string) }),
    volumes: array(object({ ...volumeFields, requested })),
    images: array(object({ ...receivedFields, image })),
    bootEntry: nullable(object({ state: word('made', 'none'), reason: nullable(string) })),
  }),
  examples: [
    'ddi-attach install /dev/sda --uki acme.efi --image https://example.com/acme_1.4.raw.xz',
    'ddi-attach install disk.raw --uki acme.efi --image acme_1.4.raw --volume home=2G --entries 512',
    'ddi-attach install /dev/sda --uki acme.efi --dry-run',
  ],
  asks: ([path], { force }) => (force ? `Overwrite what ${path} holds?` : undefined),
  async run([path], options) {
    const { uki, volume, entries, espSize, tries, force, dryRun, verify, json } = options
    const images = options.image.map((image) => (image.includes('://') ? image : pathToFileURL(resolve(image))))
    const [only, ...others] = images.filter((image) => typeof image === 'string')
    if (options.netrc !== undefined && others.length > 0)
      throw new DdiError(
        'ERR_DDI_USAGE',
        '--netrc is for one server: install further images by `ddi-attach store install`',
      )
    // How each image is verified by default depends on where it comes from.
    const { verify: _, ...work } = await pullWork(only, { ...options, verify: verify ?? 'signature' })
    const progress = await downloadProgress(options.progress === 'json')
    const installed = await installDisk(path, {
      ...work,
      ...given({ verify, espSize, certificates: await certificatesOf(options.certificate) }),
      ...{ uki, images, entries, volumes: volume, tries, force, dryRun },
      onProgress: progress.update,
    }).finally(() => progress.stop())
    const asked = new Map<string | null, number>(volume.map((one) => [one.designator, one.size]))
    if (espSize !== undefined) asked.set('esp', espSize)
    for (const { label, designator, size } of installed.volumes)
      noteRounded(`${label}`, asked.get(designator) ?? null, size)
    if (json !== 'off') printJson(describe(installed, asked, dryRun), json)
    else print(summary(installed, dryRun))
    noteProducts(installed)
    if (installed.bootEntry?.state === 'none')
      note(
        `the firmware has no boot entry for it: ${installed.bootEntry.reason}; it finds ${installed.uki.removablePath}`,
      )
  },
})

/** A UKI without a product boots from no store, and one with a product boots no other. */
function noteProducts({ uki, images }: InstalledDisk): void {
  const product = parameterValue(uki.commandLine ?? '', 'ddi.product')
  if (product === undefined)
    note(`${uki.path} has no ddi.product= on its kernel command line: it boots no image of a disk`)
  const others = images.filter(({ image }) => product !== undefined && image.product !== product)
  for (const { image } of others) note(`${uki.path} boots images of ${product}: not ${image.label}`)
}

function describe(
  { path, uuid, volumes, images, uki, bootEntry }: InstalledDisk,
  asked: ReadonlyMap<string | null, number>,
  dryRun: boolean,
) {
  return {
    path,
    uuid,
    dryRun,
    uki: { path: uki.path, size: uki.size, removablePath: uki.removablePath, kernelVersion: uki.kernelVersion },
    volumes: volumes.map((one) => ({ ...describeVolume(one), requested: asked.get(one.designator) ?? null })),
    images: images.map(({ image, removed: _, ...rest }) => ({ ...rest, image: describeImage(image) })),
    bootEntry: bootEntry && { reason: null, ...bootEntry },
  }
}

function summary({ path, uki, volumes, images }: InstalledDisk, dryRun: boolean): string {
  const lines = [
    `${path}: ${dryRun ? 'would get' : 'has'} a new table`,
    ...volumes.map(({ label, designator, size }) =>
      [
        `  ${label}: ${formatSize(size)}`,
        ...(designator === 'esp' ? [`${uki.path} as ${uki.removablePath}`] : []),
      ].join(', '),
    ),
    ...images.map(({ image }) => `  ${image.label}: ${formatSize(image.volume.size)}`),
  ]
  return lines.map(printable).join('\n')
}
