import { join } from 'node:path'
import { sectorSize } from '../../../android/geometry.js'
import { expand } from '../../../android/sparse.js'
import { fittingSuperSize, makeSuper, type SuperPartition } from '../../../build/super.js'
import { type FileSource, openFile } from '../../../bytes/file.js'
import { makeDirectories, refuseReplacing } from '../../../bytes/new-file.js'
import { alignUp } from '../../../bytes/runs.js'
import { DdiError } from '../../../errors.js'
import { dryRunOption } from '../../dry-run.js'
import { given } from '../../given.js'
import { untilInterrupted } from '../../interrupt.js'
import { formatSize, print, printJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { noteRounded } from '../../rounded.js'
import { array, object } from '../../schema.js'
import { dryRun, logicalPartitionFields, requested, superFields } from '../../shapes.js'
import { describeMetadata } from '../../super.js'
import {
  newFile,
  pair,
  size,
  sizeOrAuto,
  sizeOrZero,
  superDevice,
  superGroup,
  superPartition,
  text,
  wholeNumber,
} from '../../values.js'
import { argument, flag, option, repeatable, type ValuesOf, verb } from '../../verb.js'

const layoutOptions = {
  deviceSize: option(
    '--device-size <size>',
    'size of the device that holds the metadata; auto is room for all partitions',
    sizeOrAuto,
  ),
  superName: option('--super-name <name>', 'name of that device', text, 'super'),
  device: repeatable(
    '--device <name:size>',
    'a device as NAME:SIZE[:ALIGNMENT[:OFFSET]]; the first one holds the metadata',
    superDevice,
  ),
  metadataSize: option('--metadata-size <size>', 'space for each copy of the metadata', size, '64K'),
  metadataSlots: option('--metadata-slots <count>', 'slots, of two copies each', wholeNumber(1, 26), '2'),
  blockSize: option('--block-size <size>', 'size of logical blocks', size, '4096'),
  alignment: option('--alignment <size>', 'alignment of extents; 0 is that of blocks', sizeOrZero, '1M'),
  alignmentOffset: option(
    '--alignment-offset <size>',
    'offset that is written down, and moves nothing',
    sizeOrZero,
    '0',
  ),
  group: repeatable('--group <name:size>', 'a group as NAME:MAXIMUM, 0 for no maximum', superGroup),
  autoSlotSuffixing: flag('--auto-slot-suffixing', 'names get the suffix of the slot that they are read for'),
}

const contentOptions = {
  partition: repeatable(
    '--partition <spec>',
    'a partition as NAME:ATTRIBUTES:SIZE[:GROUP]; attributes none, readonly, …; size 0 for that of its image',
    superPartition,
  ),
  image: repeatable('--image <name=file>', 'initial contents of a partition', pair('NAME=FILE')),
}

export default verb({
  summary: 'make a super partition, as lpmake does; with several devices, a directory of images',
  arguments: [argument('<output>', 'file, or directory for several devices', newFile)],
  options: {
    ...layoutOptions,
    ...contentOptions,
    virtualAb: flag('--virtual-ab', 'mark it as belonging to a Virtual A/B device'),
    sparse: flag('--sparse', 'write Android sparse images'),
    metadataOnly: flag('--metadata-only', 'write a super_empty.img: the metadata alone, in one file'),
    force: flag('--force', 'replace what exists'),
    ...dryRunOption,
  },
  json: object({
    ...superFields,
    partitions: array(object({ ...logicalPartitionFields, requested })),
    dryRun,
  }),
  examples: [
    'ddi-attach android make super.img --device-size 4G --group main:3G --partition system_a:readonly:0:main --image system_a=system.img',
    'ddi-attach android make super.img --device-size auto --partition data:none:1G --sparse',
    'ddi-attach android make super_empty.img --device-size 4G --group main:3G --partition system_a:readonly:0:main --metadata-only',
  ],
  async run([output], options) {
    const { json, metadataSize, metadataSlots, blockSize, autoSlotSuffixing: slotSuffixed } = options
    const { virtualAb, sparse, metadataOnly, force: replace, dryRun } = options
    const groups = options.group.map((group) => ({ ...group, slotSuffixed }))
    const images = await openImages(options)
    try {
      const partitions = await partitionsOf(options, images, slotSuffixed)
      // As liblp rounds it.
      const geometry = { metadataSize: alignUp(metadataSize, sectorSize), slotCount: metadataSlots, blockSize }
      const devices = devicesOf(options, (alignment) =>
        fittingSuperSize(
          geometry,
          alignment,
          partitions.map(({ size, image }) => size || (image?.size ?? 0)),
        ),
      )
      const isFolder = devices.length > 1 && !metadataOnly
      const outputs = isFolder ? devices.map(({ name }) => join(output, `${name}.img`)) : [output]
      const inputs = options.image.map(([, path]) => path)
      for (const one of outputs) await refuseReplacing(one, inputs)
      if (isFolder && !dryRun) await makeDirectories(output)
      const bar = await progressBar('writing')
      const metadata = await makeSuper(
        output,
        { geometry, devices, groups, partitions, flags: virtualAb ? 1 : 0 },
        { sparse, metadataOnly, replace, dryRun, signal: untilInterrupted(), onProgress: bar.update },
      ).finally(() => bar.stop())
      noteRounded('metadata', metadataSize, geometry.metadataSize, sectorSize)
      const made = withRequested(describeMetadata({ metadata, slot: 0 }), partitions, blockSize)
      if (json !== 'off') printJson({ ...made, dryRun }, json)
      else if (dryRun) {
        for (const [n, one] of outputs.entries()) print(`${one}: would have ${formatSize(devices[n]!.size)}`)
        for (const { name, size } of made.partitions) print(`  ${name}: ${formatSize(size)}`)
      }
    } finally {
      for (const image of images.values()) await image.close()
    }
  },
})

/** Says which partitions have other sizes than were asked for. @param partitions in the order of the metadata */
function withRequested(
  made: ReturnType<typeof describeMetadata>,
  partitions: readonly SuperPartition[],
  blockSize: number,
) {
  const asked = partitions.map(({ size, image }) => size || (image?.size ?? null))
  for (const [n, { name, size }] of made.partitions.entries()) noteRounded(name, asked[n]!, size, blockSize)
  return { ...made, partitions: made.partitions.map((one, n) => ({ ...one, requested: asked[n]! })) }
}

/** The devices, the one of `--device-size` first. */
function devicesOf(options: ValuesOf<typeof layoutOptions>, fitting: (alignment: number) => number) {
  const { deviceSize, superName, device, alignment, alignmentOffset, autoSlotSuffixing } = options
  const main =
    deviceSize === undefined ? [] : [{ name: superName, size: deviceSize === 'auto' ? fitting(alignment) : deviceSize }]
  const [first, ...others] = [...main, ...device].map((one) => ({
    alignment,
    alignmentOffset,
    ...given(one),
    slotSuffixed: autoSlotSuffixing,
  }))
  if (!first) throw new DdiError('ERR_DDI_USAGE', 'give --device-size, or one or more --device')
  return [first, ...others] as const
}

/** What partitions begin with, by their names. */
async function openImages({ partition, image }: ValuesOf<typeof contentOptions>): Promise<Map<string, FileSource>> {
  const stray = image.find(([name]) => !partition.some((one) => one.name === name))
  if (stray) throw new DdiError('ERR_DDI_USAGE', `--image=${stray[0]}=…: there is no --partition=${stray[0]}:…`)
  const images = new Map<string, FileSource>()
  try {
    for (const [name, path] of image) {
      await images.get(name)?.close()
      images.set(name, await openFile(path))
    }
    return images
  } catch (error) {
    for (const opened of images.values()) await opened.close()
    throw error
  }
}

async function partitionsOf(
  { partition }: ValuesOf<typeof contentOptions>,
  images: ReadonlyMap<string, FileSource>,
  slotSuffixed: boolean,
): Promise<SuperPartition[]> {
  return await Promise.all(
    partition.map(async ({ name, size, attributes, group }) => {
      const image = images.get(name)
      return {
        name,
        size,
        attributes: { ...attributes, slotSuffixed },
        ...given({ group, image: image && (await expand(image)).source }),
      }
    }),
  )
}
