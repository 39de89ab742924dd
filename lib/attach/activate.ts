import { deviceName, type Plan, type PlannedVolume } from '../image/plan.js'
import { mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'
import { checkOptions, type OptionNames } from '../options.js'
import type { Work } from '../work.js'
import { detachNamed } from './detach.js'
import { activateLoops } from './loop-devices.js'
import { activateMapped } from './mapped-devices.js'

/** A planned volume with the node that offers it: a device-mapper device, or a loop device without device-mapper. */
export interface AttachedVolume extends PlannedVolume {
  /** The path to mount. */
  readonly device: string
}

/** An attached image. `detach` undoes it, as does leaving the scope of an `await using`. */
export interface Attachment extends AsyncDisposable {
  readonly name: string
  readonly image: string
  readonly volumes: readonly AttachedVolume[]
  /** @throws ERR_DDI_BUSY while a device is in use */
  detach(): Promise<void>
}

/** Nothing is read or written that could have progress: devices are made in milliseconds. */
export type ActivateOptions = Pick<Work, 'signal'>
export const activateOptionNames: OptionNames<ActivateOptions> = { signal: true }

/**
 * Makes the devices of a plan. If a step fails, what was made before is undone; a killed process leaves nothing, or what
 * `list` shows and `detach` removes.
 * @throws ERR_DDI_NO_DEVICE_MAPPER if the plan needs device-mapper and the kernel has none; ERR_DDI_BUSY if it would write
 *   what another attachment verifies or writes, or verify what one writes; ERR_DDI_NAME_IN_USE,
 *   ERR_DDI_IMAGE_CHANGED, ERR_DDI_MISSING_TARGET, ERR_DDI_SIGNATURE_KERNEL, ERR_DDI_NO_LOOP, ERR_DDI_NO_FREE_LOOP,
 *   ERR_DDI_PERMISSION, ERR_DDI_KERNEL, ERR_DDI_ABORTED
 */
export async function activate(plan: Plan, options: ActivateOptions = {}): Promise<Attachment> {
  checkOptions(options, activateOptionNames, 'activate')
  const devices = await activateVolumes(plan, options.signal)
  const volumes = plan.volumes.map((volume) => ({ ...volume, device: devices.get(volume.node)! }))
  const detach = () => detachNamed(plan.name)
  return { name: plan.name, image: plan.image, volumes, detach, [Symbol.asyncDispose]: detach }
}

/** @returns the path of the device of each volume, by the id of its node */
async function activateVolumes(plan: Plan, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, string>> {
  const mapper = await openDeviceMapper()
  if (!mapper) return await activateLoops(plan, signal)
  try {
    await activateMapped(plan, mapper, signal)
  } finally {
    await mapper[Symbol.asyncDispose]()
  }
  return new Map(plan.volumes.map(({ node }) => [node, mapperPath(deviceName(plan.name, node))]))
}
