import { DdiError } from '../errors.js'
import type { BaseNode, NodeRole } from '../image/plan.js'
import { plainCharacters } from '../text.js'

// How an attachment is found again without a state file: the kernel keeps these marks as long as the devices.

/** What a device of an attachment is. `crypt` and, under it, `integrity`: made by libcryptsetup, on a volume of ours. */
export interface DeviceMark {
  readonly kind: 'linear' | 'verity' | 'integrity' | 'crypt'
  readonly role: NodeRole
  /** The id of its node in the plan; of what libcryptsetup made, that of the volume it opens. */
  readonly node: string
  readonly attachment: string
}

/** What the UUIDs of all our device-mapper devices begin with. */
export const uuidPrefix = 'DDI-'

/** The UUID of a device-mapper device of ours. The kernel takes 128 bytes; attachments and labels are too short to exceed them. */
export function deviceUuid({ kind, role, node, attachment }: DeviceMark): string {
  return `${uuidPrefix}${kind}:${role}:${node}:${attachment}`
}

const deviceMark = new RegExp(`^DDI-(linear|verity):(volume|inner):(${plainCharacters}+):(.+)$`)

/** What a UUID of ours says; undefined for any other. */
export function parseDeviceUuid(uuid: string): DeviceMark | undefined {
  const match = deviceMark.exec(uuid)
  if (!match) return undefined
  const [, kind, role, node, attachment] = match as unknown as [string, 'linear' | 'verity', NodeRole, string, string]
  return { kind, role, node, attachment }
}

/** What a loop device of ours is: a base of an attachment, or, without device-mapper, one of its volumes. */
export type LoopMark =
  | { readonly role: BaseNode['role']; readonly attachment: string }
  | { readonly role: 'volume'; readonly attachment: string; readonly node: string }

/**
 * The reference of a loop device of ours.
 * @throws ERR_DDI_NAME if the names of a volume and its attachment are too long together
 */
export function loopReference(mark: LoopMark): string {
  if (mark.role !== 'volume') return `ddi:${mark.attachment}${mark.role === 'beside' ? '/beside' : ''}`
  const { attachment, node } = mark
  const reference = `ddi:${attachment}:${node}`
  if (reference.length > longestReference)
    throw new DdiError(
      'ERR_DDI_NAME',
      `without device-mapper, the names ${attachment} and ${node} are ${reference.length - longestReference} characters too long together: choose a shorter name for the attachment`,
    )
  return reference
}

/** LO_NAME_SIZE less its NUL. */
const longestReference = 63

const loopMark = new RegExp(`^ddi:([^:/]+)(?:(/beside)|:(${plainCharacters}+))?$`)

/** What the reference of a loop device says; undefined for one that is not ours. */
export function parseLoopReference(reference: string): LoopMark | undefined {
  const match = loopMark.exec(reference)
  if (!match) return undefined
  const [, attachment = '', beside, node] = match
  if (node !== undefined) return { role: 'volume', attachment, node }
  return { role: beside === undefined ? 'image' : 'beside', attachment }
}
