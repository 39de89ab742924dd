// What holds for all metadata, read or to be written.
import { totalLength } from '../bytes/extents.js'
import { findOverlap } from '../bytes/runs.js'
import { DdiError, type ErrorCode } from '../errors.js'
import { type Geometry, metadataEnd, sectorSize } from './geometry.js'
import type { LogicalPartition, Metadata, SuperDevice } from './metadata.js'
import { nameLength } from './tables.js'

/** Makes the error for something invalid; the code for metadata that was read, ERR_DDI_USAGE for metadata to be written. */
export type Refuse = (what: string, code?: ErrorCode) => DdiError

export const refuseRead: Refuse = (what, code = 'ERR_DDI_SUPER_TABLES') =>
  new DdiError(code, `metadata of the super partition: ${what}`)

export const refuseToWrite: Refuse = (what) => new DdiError('ERR_DDI_USAGE', what)

interface Named {
  readonly name: string
}

type Tables = Readonly<Record<'partitions' | 'groups' | 'devices', readonly Named[]>>

/** Names become those of files and devices: nothing in them may lead elsewhere. */
export function checkNames({ partitions, groups, devices }: Tables, refuse: Refuse): void {
  for (const [kind, named] of Object.entries({ partition: partitions, group: groups, device: devices })) {
    const seen = new Set<string>()
    for (const [index, { name }] of named.entries()) {
      if (!/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(name) || name.length > nameLength)
        throw refuse(
          `invalid name ${JSON.stringify(name)} of ${kind} ${index}: up to ${nameLength} of A-Z a-z 0-9 _ . + - are allowed`,
        )
      if (seen.has(name)) throw refuse(`duplicate ${kind} ${name}`)
      seen.add(name)
    }
  }
}

/**
 * Checks that everything lies where it may; names are left to {@link checkNames}.
 * @throws what `refuse` makes: ERR_DDI_SUPER_EXTENT if extents are misplaced, else its default
 */
export function checkLayout(metadata: Metadata, geometry: Geometry, refuse: Refuse): void {
  checkDevices(metadata, geometry, refuse)
  for (const partition of metadata.partitions) checkExtents(partition, metadata.devices, geometry, refuse)
  checkOverlaps(metadata, refuse)
}

function checkDevices({ devices }: Metadata, geometry: Geometry, refuse: Refuse): void {
  for (const { name, alignment, alignmentOffset, usableStart, size } of devices) {
    if (alignment % sectorSize !== 0 || alignmentOffset % sectorSize !== 0)
      throw refuse(`device ${name} is aligned to ${alignment} bytes, not to whole sectors`)
    if (usableStart > size) throw refuse(`device ${name} begins after its own end`)
  }
  const [first] = devices
  if (first.usableStart < metadataEnd(geometry))
    throw refuse(
      `partitions would begin at byte ${first.usableStart} of ${first.name}, within the metadata`,
      'ERR_DDI_SUPER_EXTENT',
    )
}

function checkExtents(
  { name, extents }: LogicalPartition,
  devices: readonly SuperDevice[],
  { blockSize }: Geometry,
  refuse: Refuse,
): void {
  for (const [index, extent] of extents.entries()) {
    const bad = (what: string) => refuse(`extent ${index} of partition ${name} ${what}`, 'ERR_DDI_SUPER_EXTENT')
    if (extent.length % blockSize !== 0) throw bad(`has ${extent.length} bytes, not whole logical blocks`)
    if (extent.kind === 'zero') continue
    const device = devices[extent.base]
    if (!device) throw bad(`is on device ${extent.base} of ${devices.length}`)
    const { start, length } = extent
    if (start < device.usableStart || start + length > device.size)
      throw bad(
        `takes bytes ${start} to ${start + length} of ${device.name}, which offers ${device.usableStart} to ${device.size}`,
      )
  }
  if (!Number.isSafeInteger(totalLength(extents))) throw refuse(`partition ${name} is impossibly large`)
}

function checkOverlaps({ partitions, devices }: Metadata, refuse: Refuse): void {
  const placed = partitions.flatMap(({ name, extents }) =>
    extents.flatMap((extent) => (extent.kind === 'linear' ? [{ ...extent, name }] : [])),
  )
  for (const [index, device] of devices.entries()) {
    const onDevice = placed.filter(({ base }) => base === index)
    const overlap = findOverlap(onDevice)
    if (!overlap) continue
    const [one, two] = overlap.map((at) => onDevice[at]!) as [(typeof placed)[number], (typeof placed)[number]]
    throw refuse(
      `partitions ${one.name} and ${two.name} overlap at byte ${two.start} of ${device.name}`,
      'ERR_DDI_SUPER_EXTENT',
    )
  }
}
