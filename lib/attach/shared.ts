import { loopFlags } from '../../bindings/addon.js'
import type { Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { formatDevice, mapperPath } from '../kernel/device-mapper.js'
import { findPlaces, type Place } from '../kernel/places.js'
import { type FoundAttachment, findAttachments, linearDevices } from './list.js'

/** What a device of ours does with a run of a file or disk. */
interface Use extends Run, Place {
  readonly attachment: string
  readonly device: string
  readonly access: 'read' | 'verify' | 'write'
}

/**
 * Holds an attachment against all others: what one device writes, no other verifies or writes. Its own exist by now, so that of
 * two that are made at once one sees the other.
 * @throws ERR_DDI_BUSY
 */
export async function refuseShared(attachment: string): Promise<void> {
  const uses = (await findUses()).filter(({ access }) => access !== 'read')
  const [own, other] = findShared(uses, (use) => use.attachment === attachment) ?? []
  if (own && other)
    throw new DdiError(
      'ERR_DDI_BUSY',
      `${own.device} would ${own.access} bytes that ${other.device} ${other.access === 'write' ? 'may write' : 'verifies'}: detach ${other.attachment} first`,
      { path: other.device },
    )
}

/** Two uses of one byte, the first of ours, of which one writes: in one pass over all, by where they start. */
function findShared(uses: readonly Use[], isOwn: (use: Use) => boolean): readonly [Use, Use] | undefined {
  const key = (whose: 'any' | 'own', { ground }: Use, access: Use['access']) => `${whose} ${access} ${ground}`
  /** Of each kind, the use that reaches furthest. */
  const furthest = new Map<string, Use>()
  for (const use of [...uses].sort((a, b) => a.start - b.start)) {
    const opposed = use.access === 'write' ? (['write', 'verify'] as const) : (['write'] as const)
    for (const access of opposed) {
      const other = furthest.get(key(isOwn(use) ? 'any' : 'own', use, access))
      if (other && use.start < endOf(other)) return isOwn(use) ? [use, other] : [other, use]
    }
    for (const whose of isOwn(use) ? (['any', 'own'] as const) : (['any'] as const)) {
      const before = furthest.get(key(whose, use, use.access))
      if (!before || endOf(before) < endOf(use)) furthest.set(key(whose, use, use.access), use)
    }
  }
  return undefined
}

function endOf({ start, length }: Run): number {
  return start + length
}

async function findUses(): Promise<readonly Use[]> {
  const [attachments, placeOf] = [await findAttachments(), await findPlaces()]
  return (await Promise.all(attachments.map((one) => usesOf(one, placeOf)))).flat()
}

async function usesOf(
  { name: attachment, mapped, loops }: FoundAttachment,
  placeOf: (number: string) => Promise<Place>,
): Promise<readonly Use[]> {
  const verified = new Set(mapped.flatMap(({ kind, under }) => (kind === 'verity' ? under : [])))
  const uses: Use[] = []
  for (const { device, extents } of await linearDevices(mapped)) {
    const access = verified.has(formatDevice(device)) ? 'verify' : device.readOnly ? 'read' : 'write'
    for (const extent of extents) {
      const { ground, start } = await placeOf(extent.device)
      const run = { start: start + extent.start, length: extent.length }
      uses.push({ attachment, device: mapperPath(device.name), access, ground, ...run })
    }
  }
  // Without device-mapper each volume is a loop device at an offset.
  for (const { mark, device, deviceNumber, flags, sizeLimit } of loops)
    if (mark.role === 'volume')
      uses.push({
        attachment,
        device,
        access: flags & loopFlags.readOnly ? 'read' : 'write',
        ...(await placeOf(deviceNumber)),
        length: sizeLimit,
      })
  return uses
}
