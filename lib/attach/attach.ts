import { type DissectOptions, dissect, dissectOptionNames } from '../image/dissect.js'
import { type OpenOptions, openImage, openOptionNames } from '../image/open.js'
import { type PlanOptions, plan, planOptionNames } from '../image/plan.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { type ActivateOptions, type Attachment, activate, activateOptionNames } from './activate.js'

/** Options of {@link attach}: those of its four steps. */
export type AttachOptions = OpenOptions & DissectOptions & PlanOptions & ActivateOptions
const attachOptionNames: OptionNames<AttachOptions> = {
  ...openOptionNames,
  ...dissectOptionNames,
  ...planOptionNames,
  ...activateOptionNames,
}

/**
 * Attaches a disk image: opens, dissects, plans and activates it.
 * @param path of an image file or block device
 * @returns the attachment, whose volumes are ready to be mounted
 * @throws ERR_DDI_USAGE for an unknown option, and what {@link openImage}, {@link dissect}, {@link plan} and
 *   {@link activate} throw; no device is left then
 */
export async function attach(path: string, options: AttachOptions = {}): Promise<Attachment> {
  checkOptions(options, attachOptionNames, 'attach')
  await using image = await openImage(path, pickOptions(options, openOptionNames))
  const probe = options.volumes ? 'all' : 'used'
  const dissection = await dissect(image, { probe, ...pickOptions(options, dissectOptionNames) })
  return await activate(
    plan(dissection, pickOptions(options, planOptionNames)),
    pickOptions(options, activateOptionNames),
  )
}
