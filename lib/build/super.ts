import { join } from 'node:path'
import { addPartition, findPartition, type NewPartition, type NewSuperDevice, newMetadata } from '../android/change.js'
import { checkedGeometry, type Geometry, metadataEnd } from '../android/geometry.js'
import type { LogicalPartition, Metadata, PartitionGroup } from '../android/metadata.js'
import { encodeMetadataImage } from '../android/metadata-image.js'
import { encodeSparse } from '../android/sparse.js'
import { encodeSuper } from '../android/super.js'
import { concatSources } from '../bytes/concat.js'
import { copy } from '../bytes/copy.js'
import { extentTarget, linear } from '../bytes/extents.js'
import { memorySource } from '../bytes/memory.js'
import { refuseNewFile, writeNewFile } from '../bytes/new-file.js'
import { zeroSource } from '../bytes/repeat.js'
import { alignUp, mergeRuns } from '../bytes/runs.js'
import { sliceSource } from '../bytes/slice.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { workOn } from '../work.js'
import { type AndroidFileOptions, androidFileOptionNames } from './android-file.js'

/** A logical partition of a new super partition, with its image. */
export interface SuperPartition extends NewPartition {
  /** The bytes that it begins with, at most its size. */
  readonly image?: Source
}

/** What a new super partition is to be. */
export interface SuperDefinition {
  readonly geometry: Geometry
  /** The first one holds the metadata. */
  readonly devices: readonly [NewSuperDevice, ...NewSuperDevice[]]
  readonly groups?: readonly PartitionGroup[]
  /** Flags of the metadata header: 1 for Virtual A/B devices. */
  readonly flags?: number
  readonly partitions?: readonly SuperPartition[]
}

/** Options of {@link makeSuper}. */
export interface MakeSuperOptions extends AndroidFileOptions {
  /** Writes the metadata alone, as a super_empty.img: one file, whatever devices there are. Default: false. */
  readonly metadataOnly?: boolean
}

const makeSuperOptionNames: OptionNames<MakeSuperOptions> = { ...androidFileOptionNames, metadataOnly: true }

/** Bytes that have a place on a device. */
interface Part {
  /** Of the partition; null for metadata. */
  readonly name: string | null
  /** In bytes. */
  readonly start: number
  readonly source: Source
}

/** A device with all that is written to it. */
interface DeviceContents {
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** In the order of the device, none overlapping another. */
  readonly parts: readonly Part[]
}

/**
 * Makes an Android super partition, with the same metadata in every slot.
 * @param output a file; for several devices a directory, which gets a file NAME.img for each
 * @returns what was laid out
 * @throws ERR_DDI_USAGE for an invalid geometry or option, or if an image is larger than its partition; and what `newMetadata`,
 *   `addPartition` and `writeNewFile` throw
 */
export async function makeSuper(
  output: string,
  definition: SuperDefinition,
  options: MakeSuperOptions = {},
): Promise<Metadata> {
  checkOptions(options, makeSuperOptionNames, 'makeSuper')
  const { devices, groups, flags, partitions = [] } = definition
  if (options.metadataOnly && (options.sparse || partitions.some(({ image }) => image)))
    throw new DdiError('ERR_DDI_USAGE', 'an image of metadata alone is not sparse, and has no place for images')
  const geometry = checkedGeometry(definition.geometry)
  const metadata = partitions.reduce(
    (metadata, { image, ...partition }) =>
      addPartition(metadata, geometry, { ...partition, size: partitionSize(partition, image) }),
    newMetadata(geometry, devices, groups, flags),
  )
  const path = (name: string) => (devices.length === 1 || options.metadataOnly ? output : join(output, `${name}.img`))
  const { replace = false } = options
  if (options.dryRun) {
    for (const { name } of metadata.devices) await refuseNewFile(path(name), { replace })
    return metadata
  }
  if (options.metadataOnly) {
    await writeNewFile(output, 0, (target) => target.write(0, encodeMetadataImage(geometry, metadata)), { replace })
    return metadata
  }
  const tables = encodeSuper(geometry, metadata).map(
    ({ offset, bytes }): Part => ({ name: null, start: offset, source: memorySource(bytes) }),
  )
  for (const [index, { name, size }] of metadata.devices.entries()) {
    const images = partitions.flatMap(({ name, image }) =>
      image ? imageParts(findPartition(metadata, name), image, index) : [],
    )
    const parts = [...images, ...(index === 0 ? tables : [])].sort((a, b) => a.start - b.start)
    const device = { path: path(name), size, parts }
    if (options.sparse) await writeSparseDevice(device, geometry, options)
    else await writeDevice(device, options)
  }
  return metadata
}

/**
 * The size of a device that has room for the metadata and for partitions, each on a multiple of the alignment.
 * @param alignment of the device, in bytes
 * @param sizes of the partitions, in bytes
 */
export function fittingSuperSize(geometry: Geometry, alignment: number, sizes: readonly number[]): number {
  const unit = alignment || geometry.blockSize
  const start = alignUp(metadataEnd(geometry), unit)
  const each = sizes.map((size) => alignUp(alignUp(size, geometry.blockSize), unit))
  return start + each.reduce((sum, size) => sum + size, 0) + (sizes.length === 0 ? geometry.blockSize : 0)
}

function partitionSize({ name, size }: NewPartition, image: Source | undefined): number {
  if (size === 0) return image?.size ?? 0
  if (image && image.size > size)
    throw new DdiError('ERR_DDI_USAGE', `partition ${name} would have ${size} bytes, and its image has ${image.size}`)
  return size
}

/** The parts of an image that lie on a device. */
function imageParts({ name, extents }: LogicalPartition, image: Source, device: number): readonly Part[] {
  let done = 0
  return extents.flatMap((extent) => {
    const run = { start: done, length: Math.max(0, Math.min(extent.length, image.size - done)) }
    done += run.length
    if (extent.kind === 'zero' || extent.base !== device || run.length === 0) return []
    return [{ name, start: extent.start, source: sliceSource(image, run) }]
  })
}

async function writeDevice({ path, size, parts }: DeviceContents, options: AndroidFileOptions): Promise<void> {
  const { replace = false, signal } = options
  await writeNewFile(
    path,
    size,
    async (target) => {
      for (const { name, start, source } of parts) {
        const place = extentTarget(target, linear([{ start, length: source.size }]))
        await copy(source, place, { sparse: true, ...(name === null ? { signal } : workOn(name, options)) })
      }
    },
    { replace },
  )
}

async function writeSparseDevice(
  { path, size, parts }: DeviceContents,
  { blockSize }: Geometry,
  { replace = false, signal, onProgress }: AndroidFileOptions,
): Promise<void> {
  const blocks = parts.map(({ start, source }) => {
    const from = start - (start % blockSize)
    return { start: from, length: alignUp(start + source.size, blockSize) - from }
  })
  const options = { blockSize, written: mergeRuns(blocks), signal, onProgress }
  await writeNewFile(path, 0, (target) => encodeSparse(withGaps(size, parts), target, options), { replace })
}

/** All bytes of a device: its parts, and zeroes between them. */
function withGaps(size: number, parts: readonly Part[]): Source {
  let end = 0
  const sources = parts.flatMap(({ start, source }) => {
    const gap = zeroSource(start - end)
    end = start + source.size
    return [gap, source]
  })
  return concatSources([...sources, zeroSource(size - end)])
}
