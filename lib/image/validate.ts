import type { Dissection } from './dissection.js'
import { refuseKernelTrust } from './offers.js'
import { type PlannedVolume, plan } from './plan.js'

/**
 * Whether an image is acceptable, without the kernel's help: trusted as its dissection was asked to trust it, and with something that this
 * machine would attach.
 * @returns the volumes that this machine would attach
 * @throws as {@link plan}; ERR_DDI_SIGNATURE_KERNEL if the kernel was to verify signatures, which it does for devices alone
 */
export function validate(dissection: Dissection): readonly PlannedVolume[] {
  refuseKernelTrust(dissection)
  return plan(dissection).volumes
}
