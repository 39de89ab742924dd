import { type DissectOptions, dissect } from '../image/dissect.js'
import { type OpenOptions, openImage } from '../image/open.js'
import { type PlanOptions, plan } from '../image/plan.js'
import { type ActivateOptions, type Attachment, activate } from './activate.js'

export type AttachOptions = OpenOptions & DissectOptions & PlanOptions & ActivateOptions

/**
 * Attaches a disk image: opens, dissects, plans and activates it.
 * @param path of an image file or block device
 * @returns the attachment, whose volumes are ready to be mounted
 * @throws what {@link openImage}, {@link dissect}, {@link plan} and {@link activate} throw; no device is left then
 */
export async function attach(path: string, options: AttachOptions = {}): Promise<Attachment> {
  await using image = await openImage(path, options)
  return await activate(
    plan(await dissect(image, { probe: options.volumes ? 'all' : 'used', ...options }), options),
    options,
  )
}
