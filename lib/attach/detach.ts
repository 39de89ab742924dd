import { realpath, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { deviceNumber } from '../bytes/file.js'
import { DdiError } from '../errors.js'
import { type DeviceMapper, formatDevice, mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'
import { clearLoop } from '../kernel/loop.js'
import { mountPoints } from '../kernel/mounts.js'
import { beginUdevTransaction } from '../kernel/udev.js'
import { checkOptions, type OptionNames } from '../options.js'
import { type FoundAttachment, type FoundDevice, findAttachments } from './list.js'
import { uuidPrefix } from './names.js'

/** Options of {@link detach} and {@link detachAll}. */
export interface DetachOptions {
  /** Removes devices that are in use as soon as their last user is gone. Default: false. */
  readonly lazy?: boolean
}
const detachOptionNames: OptionNames<DetachOptions> = { lazy: true }

/**
 * Detaches attachments.
 * @param what name of an attachment, path of its image, or path of one of its devices
 * @returns the names of the attachments that were detached: an image may be attached more than once
 * @throws ERR_DDI_NOT_ATTACHED, ERR_DDI_BUSY (nothing is removed then), ERR_DDI_PERMISSION
 */
export async function detach(what: string, options: DetachOptions = {}): Promise<readonly string[]> {
  checkOptions(options, detachOptionNames, 'detach')
  const attachments = await findAttachments()
  const chosen = attachments.filter(({ name }) => name === what)
  if (chosen.length === 0 && (what.includes('/') || what.includes('.')))
    for (const one of attachments) if (await isOf(one, what)) chosen.push(one)
  if (chosen.length === 0) throw new DdiError('ERR_DDI_NOT_ATTACHED', `${what} is not attached`)
  for (const one of chosen) await remove(one, options)
  return chosen.map(({ name }) => name)
}

/**
 * Detaches every attachment.
 * @returns their names
 * @throws as {@link detach}
 */
export async function detachAll(options: DetachOptions = {}): Promise<readonly string[]> {
  checkOptions(options, detachOptionNames, 'detachAll')
  const attachments = await findAttachments()
  for (const one of attachments) await remove(one, options)
  return attachments.map(({ name }) => name)
}

/** Detaches the attachment of a name, if there is one. @throws as {@link detach} */
export async function detachNamed(name: string): Promise<void> {
  for (const one of await findAttachments()) if (one.name === name) await remove(one, {})
}

/** Whether a path is that of an attachment’s image, or of one of its devices. */
export async function isOf(attachment: FoundAttachment, path: string): Promise<boolean> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined)
  if (!stats) return false
  const real = await realpath(path)
  if (stats.isBlockDevice()) {
    const number = deviceNumber(Number(stats.rdev))
    return devicesOf(attachment).some((device) => device.number === number) || attachment.image === real
  }
  return attachment.loops.some(
    (loop) =>
      loop.backing === real ||
      (loop.backingDevice === stats.dev.toString() && loop.backingInode === stats.ino.toString()),
  )
}

/** The nodes of an attachment and their `major:minor`, those on top first. */
function devicesOf({ mapped, loops }: FoundAttachment): readonly { readonly path: string; readonly number: string }[] {
  return [
    ...mapped.map((device) => ({ path: mapperPath(device.name), number: formatDevice(device) })),
    ...loops.map((loop) => ({ path: loop.device, number: loop.deviceNumber })),
  ]
}

async function remove(attachment: FoundAttachment, { lazy = false }: DetachOptions): Promise<void> {
  const mapper = await openDeviceMapper()
  try {
    if (!lazy) await refuseBusy(attachment, mapper)
    if (mapper) await removeDevices(attachment.mapped, mapper, lazy)
  } finally {
    await mapper?.[Symbol.asyncDispose]()
  }
  // The loop devices under device-mapper clear themselves with their last user.
  for (const { mark, device } of attachment.loops) if (mark.role === 'volume') await clearLoop(device)
}

async function removeDevices(devices: readonly FoundDevice[], mapper: DeviceMapper, lazy: boolean): Promise<void> {
  const udev = await beginUdevTransaction()
  try {
    for (const device of devices) await mapper.remove(device.name, udev, lazy)
  } finally {
    await udev.settle()
    for (const device of devices) await mapper.dropNode(device)
  }
}

/** Looks before anything is removed, so that a refusal leaves the attachment whole. @throws ERR_DDI_BUSY */
async function refuseBusy(attachment: FoundAttachment, mapper: DeviceMapper | undefined): Promise<void> {
  const mounts = await mountPoints()
  for (const { path, number } of devicesOf(attachment)) {
    const mount = mounts.get(number)
    if (mount !== undefined)
      throw new DdiError('ERR_DDI_BUSY', `${path} is mounted on ${mount}: unmount it first`, { path })
  }
  if (!mapper) return
  const under = new Set(attachment.mapped.flatMap((device) => device.under))
  const tops = attachment.mapped.filter((device) => !under.has(formatDevice(device))).map(({ name }) => name)
  // udev opens new devices for a moment, which is no reason to refuse.
  for (let attempt = 1; ; attempt++) {
    const busy = (await mapper.list(uuidPrefix)).find(({ name, openCount }) => tops.includes(name) && openCount > 0)
    if (!busy) return
    const path = mapperPath(busy.name)
    if (attempt === 10) {
      const users = busy.openCount === 1 ? '1 user' : `${busy.openCount} users`
      throw new DdiError('ERR_DDI_BUSY', `${path} has ${users}: stop them first`, { path })
    }
    await sleep(10 * attempt)
  }
}
