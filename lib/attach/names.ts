import { DdiError } from '../errors.js'

// How an attachment is found again without a state file: the kernel keeps these marks as long as the devices.

/** The UUID of a device-mapper device of ours. */
export function deviceUuid(kind: 'linear' | 'verity', node: string, attachment: string): string {
  return `${uuidPrefix}${kind}:${node}:${attachment}`
}

export const uuidPrefix = 'DDI-'

/** `crypt`: of libcryptsetup’s making, over a device of ours. */
export interface DeviceMark {
  readonly kind: 'linear' | 'verity' | 'crypt'
  readonly node: string
  readonly attachment: string
}

/** What a UUID of ours says; undefined for one that is not. */
export function parseDeviceUuid(uuid: string): DeviceMark | undefined {
  const match = /^DDI-(linear|verity):([A-Za-z0-9._+@=-]+):(.+)$/.exec(uuid)
  return match ? { kind: match[1] as DeviceMark['kind'], node: match[2]!, attachment: match[3]! } : undefined
}

/** The reference of a loop device of ours: under a whole attachment, or as one of its volumes. */
export function loopReference(attachment: string, node?: string): string {
  const reference = `ddi:${attachment}${node === undefined ? '' : `:${node}`}`
  if (reference.length > longestReference)
    throw new DdiError(
      'ERR_DDI_NAME',
      `without device-mapper, ${attachment} and ${node} together are too long by ${reference.length - longestReference} characters: give a shorter --name`,
    )
  return reference
}

/** LO_NAME_SIZE less its NUL. */
const longestReference = 63

export interface LoopMark {
  readonly attachment: string
  readonly node: string | undefined
}

export function parseLoopReference(reference: string): LoopMark | undefined {
  const match = /^ddi:([^:]+)(?::([A-Za-z0-9._+@=-]+))?$/.exec(reference)
  return match ? { attachment: match[1]!, node: match[2] } : undefined
}
