import { join } from 'node:path'
import { addPartition, findPartition, type NewPartition, type NewSuperDevice, newMetadata } from '../android/change.js'
import { checkedGeometry, type Geometry } from '../android/geometry.js'
import type { LogicalPartition, Metadata, PartitionGroup } from '../android/metadata.js'
import { encodeSparse } from '../android/sparse.js'
import { encodeSuper } from '../android/super.js'
import { concatSources } from '../bytes/concat.js'
import { copy } from '../bytes/copy.js'
import { extentSource, extentTarget, linear } from '../bytes/extents.js'
import { memorySource } from '../bytes/memory.js'
import { writeNewFile } from '../bytes/new-file.js'
import { zeroSource } from '../bytes/repeat.js'
import { alignUp, mergeRuns } from '../bytes/runs.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'

/** A source at its place on a device, `start` in bytes. */
interface Placed {
  readonly start: number
  readonly source: Source
}

/** A logical partition of a new super partition, and what it begins with. */
export interface SuperPartition extends NewPartition {
  readonly image?: Source
}

export interface SuperDefinition {
  readonly geometry: Geometry
  /** The first one holds the metadata. */
  readonly devices: readonly [NewSuperDevice, ...NewSuperDevice[]]
  readonly groups?: readonly PartitionGroup[]
  /** Of the header: 1 for Virtual A/B devices. */
  readonly flags?: number
  readonly partitions?: readonly SuperPartition[]
}

export interface MakeSuperOptions {
  /** Writes Android sparse images. Default: false. */
  readonly sparse?: boolean
  /** Replaces files that exist. Default: false. */
  readonly replace?: boolean
  readonly signal?: AbortSignal
}

/**
 * Makes an Android super partition, the same metadata in every slot.
 * @param output a file, or for several devices a folder, which gets a file NAME.img for each
 * @returns what was laid out
 * @throws what `newMetadata` and `addPartition` throw, ERR_DDI_USAGE where an image is larger than its partition, and what
 *   `writeNewFile` throws
 */
export async function makeSuper(
  output: string,
  definition: SuperDefinition,
  options: MakeSuperOptions = {},
): Promise<Metadata> {
  const { devices, groups, flags, partitions = [] } = definition
  const geometry = checkedGeometry(definition.geometry)
  const metadata = partitions.reduce(
    (metadata, { image, ...partition }) =>
      addPartition(metadata, geometry, { ...partition, size: partitionSize(partition, image) }),
    newMetadata(geometry, devices, groups, flags),
  )
  const contents = metadata.devices.map((): Placed[] => [])
  for (const { name, image } of partitions)
    if (image)
      for (const { base, ...placed } of place(findPartition(metadata, name), image)) contents[base]!.push(placed)
  for (const { offset, bytes } of encodeSuper(geometry, metadata))
    contents[0]!.push({ start: offset, source: memorySource(bytes) })
  for (const [index, { name, size }] of metadata.devices.entries())
    await writeDevice(
      devices.length === 1 ? output : join(output, `${name}.img`),
      size,
      contents[index]!,
      geometry,
      options,
    )
  return metadata
}

function partitionSize({ name, size }: NewPartition, image: Source | undefined): number {
  if (size === 0) return image?.size ?? 0
  if (image && image.size > size)
    throw new DdiError('ERR_DDI_USAGE', `partition ${name} would have ${size} bytes, and its image has ${image.size}`)
  return size
}

/** Where the parts of an image go. */
function place({ extents }: LogicalPartition, image: Source): (Placed & { readonly base: number })[] {
  let done = 0
  return extents.flatMap((extent) => {
    const length = Math.min(extent.length, image.size - done)
    if (extent.kind === 'zero' || length <= 0) return []
    const source = extentSource(image, [{ kind: 'linear', start: done, length }])
    done += length
    return [{ base: extent.base, start: extent.start, source }]
  })
}

async function writeDevice(
  path: string,
  size: number,
  contents: readonly Placed[],
  geometry: Geometry,
  options: MakeSuperOptions,
): Promise<void> {
  const { sparse = false, replace = false, signal } = options
  const stop = signal ? { signal } : {}
  const placed = [...contents].sort((a, b) => a.start - b.start)
  if (!sparse) {
    await writeNewFile(
      path,
      size,
      async (target) => {
        for (const { start, source } of placed) {
          const part = extentTarget(target, linear([{ start, length: source.size }]))
          await copy(source, part, { sparse: true, ...stop })
        }
      },
      { replace },
    )
    return
  }
  const { blockSize } = geometry
  const written = placed.map(({ start, source }) => {
    const from = start - (start % blockSize)
    return { start: from, length: alignUp(start + source.size, blockSize) - from }
  })
  await writeNewFile(
    path,
    0,
    (target) => encodeSparse(withGaps(size, placed), target, { blockSize, written: mergeRuns(written), ...stop }),
    { replace },
  )
}

/** Sources at their places, and zeroes between them. @param placed in order, none overlapping another */
function withGaps(size: number, placed: readonly Placed[]): Source {
  let end = 0
  const parts = placed.flatMap(({ start, source }) => {
    const gap = zeroSource(start - end)
    end = start + source.size
    return [gap, source]
  })
  return concatSources([...parts, zeroSource(size - end)])
}
