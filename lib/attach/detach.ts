import { realpath, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { deviceNumber } from '../bytes/file.js'
import { DdiError } from '../errors.js'
import { formatDevice, mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'
import { clearLoop } from '../kernel/loop.js'
import { mountPoints } from '../kernel/mounts.js'
import { beginUdevTransaction } from '../kernel/udev.js'
import { type FoundAttachment, findAttachments } from './list.js'
import { parseLoopReference } from './names.js'

export interface DetachOptions {
  /** Removes devices that are in use as soon as they no longer are. */
  readonly lazy?: boolean
}

/**
 * Detaches attachments.
 * @param what the name of one, the path of its image, or the path of one of its devices
 * @returns the names of what was detached: an image may be attached more than once
 * @throws ERR_DDI_NOT_ATTACHED, ERR_DDI_BUSY (nothing is removed then), ERR_DDI_PERMISSION
 */
export async function detach(what: string, options: DetachOptions = {}): Promise<readonly string[]> {
  const attachments = await findAttachments()
  const chosen = attachments.filter(({ name }) => name === what)
  if (chosen.length === 0 && (what.includes('/') || what.includes('.')))
    for (const one of attachments) if (await isOf(one, what)) chosen.push(one)
  if (chosen.length === 0)
    throw new DdiError('ERR_DDI_NOT_ATTACHED', `${what} is not attached: \`ddi-attach list\` shows what is`)
  for (const one of chosen) await remove(one, options)
  return chosen.map(({ name }) => name)
}

/** Detaches everything of ours. @returns names @throws as {@link detach} */
export async function detachAll(options: DetachOptions = {}): Promise<readonly string[]> {
  const attachments = await findAttachments()
  for (const one of attachments) await remove(one, options)
  return attachments.map(({ name }) => name)
}

/** Detaches the attachment of a name; one that is gone is no error. */
export async function detachNamed(name: string): Promise<void> {
  for (const one of await findAttachments()) if (one.name === name) await remove(one, {})
}

/** A path is that of an attachment’s image, or of one of its devices. */
export async function isOf(attachment: FoundAttachment, path: string): Promise<boolean> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined)
  if (!stats) return false
  const real = await realpath(path)
  if (stats.isBlockDevice()) {
    const number = deviceNumber(Number(stats.rdev))
    const numbers = [...attachment.mapped.map(formatDevice), ...attachment.loops.map((loop) => loop.deviceNumber)]
    return numbers.includes(number) || attachment.image === real
  }
  return attachment.loops.some(
    (loop) =>
      loop.backing === real ||
      (loop.backingDevice === stats.dev.toString() && loop.backingInode === stats.ino.toString()),
  )
}

async function remove(attachment: FoundAttachment, { lazy = false }: DetachOptions): Promise<void> {
  if (!lazy) await refuseBusy(attachment)
  const mapper = await openDeviceMapper()
  if (mapper) {
    const udev = await beginUdevTransaction()
    try {
      for (const device of attachment.mapped) await mapper.remove(device.name, udev, lazy)
    } finally {
      await udev.settle()
      for (const device of attachment.mapped) await mapper.dropNode(device)
      await mapper[Symbol.asyncDispose]()
    }
  }
  // Those under device-mapper clear themselves with their last user.
  for (const loop of attachment.loops) if (parseLoopReference(loop.reference)?.node) await clearLoop(loop.device)
}

/** Looks before anything is removed, so that a refusal leaves the attachment whole. */
async function refuseBusy(attachment: FoundAttachment): Promise<void> {
  const devices = [
    ...attachment.mapped.map((device) => ({ path: mapperPath(device.name), number: formatDevice(device) })),
    ...attachment.loops.map((loop) => ({ path: loop.device, number: loop.deviceNumber })),
  ]
  const mounts = await mountPoints()
  for (const { path, number } of devices) {
    const mount = mounts.get(number)
    if (mount)
      throw new DdiError('ERR_DDI_BUSY', `${path} is mounted on ${mount}: umount it first, or detach with --lazy`, {
        path,
      })
  }
  const mapper = await openDeviceMapper()
  if (!mapper) return
  try {
    const inUse = new Set(
      (await Promise.all(attachment.mapped.map((device) => mapper.dependencies(device.name)))).flat().map(formatDevice),
    )
    const names = attachment.mapped.filter((device) => !inUse.has(formatDevice(device))).map(({ name }) => name)
    // udev and its like open a new device for a moment, which is no reason to refuse.
    for (let attempt = 1; ; attempt++) {
      const tops = (await mapper.list('DDI-')).filter(({ name }) => names.includes(name))
      const busy = tops.find(({ openCount }) => openCount > 0)
      if (!busy) return
      if (attempt === 10)
        throw new DdiError(
          'ERR_DDI_BUSY',
          `${mapperPath(busy.name)} is in use by ${busy.openCount}: stop its users first, or detach with --lazy`,
          { path: mapperPath(busy.name) },
        )
      await sleep(10 * attempt)
    }
  } finally {
    await mapper[Symbol.asyncDispose]()
  }
}
