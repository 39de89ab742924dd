import { realpath } from 'node:fs/promises'
import { addon, unmountFlags } from '../../bindings/addon.js'
import { detachNamed, isOf } from '../attach/detach.js'
import { type FoundAttachment, findAttachments } from '../attach/list.js'
import { DdiError, systemError } from '../errors.js'
import { formatDevice, mapperPath } from '../kernel/device-mapper.js'
import { listMounts, type Mount } from '../kernel/mounts.js'
import { memoryRoot, mountMark } from './names.js'

/**
 * Unmounts and detaches images, including what is left of a `mountImage` that was killed.
 * @param what the directory that one is mounted on, the path of its image, or its name
 * @returns the names of the attachments that are gone
 * @throws ERR_DDI_NOT_ATTACHED, ERR_DDI_BUSY if something uses a mount, or somebody mounted something else on it; ERR_DDI_PERMISSION
 */
export async function unmountImage(what: string): Promise<readonly string[]> {
  const path = await realpath(what).catch(() => undefined)
  const mark = path === undefined ? undefined : mountMark(path)
  const chosen: FoundAttachment[] = []
  for (const one of await findAttachments())
    if (
      one.name === what ||
      (mark !== undefined && one.name.endsWith(mark)) ||
      (path !== undefined && (await isOf(one, what)))
    )
      chosen.push(one)
  if (chosen.length === 0)
    throw new DdiError('ERR_DDI_NOT_ATTACHED', `ddi mounted nothing on ${what}, and attached nothing of that name`)
  for (const one of chosen) await unmountAttachment(one)
  return chosen.map(({ name }) => name)
}

/** Unmounts and detaches the attachment of a name, if it still exists. */
export async function unmountNamed(name: string): Promise<void> {
  for (const one of await findAttachments()) if (one.name === name) await unmountAttachment(one)
}

async function unmountAttachment(attachment: FoundAttachment): Promise<void> {
  const { mapped, loops } = attachment
  const devices = new Set([
    ...[...mapped.map(formatDevice), ...loops.map(({ deviceNumber }) => deviceNumber)],
    ...[...mapped.map(({ name }) => mapperPath(name)), ...loops.map(({ device }) => device)],
  ])
  for (let round = 0; round < 64; round++) {
    const mounts = await listMounts()
    const ours = mounts.filter((one) => isOn(one, devices))
    const above = mountsAbove(mounts, ours)
    const top = above.at(-1)
    if (!top) break
    const foreign = above.find((one) => !isOfImage(one, devices, attachment.name))
    if (foreign)
      throw new DdiError(
        'ERR_DDI_BUSY',
        `something else is mounted on ${foreign.path} (${foreign.type}): unmount it first`,
      )
    try {
      await addon().unmount(top.path, unmountFlags.noFollow)
    } catch (error) {
      throw systemError(error, `cannot unmount ${top.path}: something uses it`, { EBUSY: 'ERR_DDI_BUSY' })
    }
  }
  await dropMemoryRoots(attachment)
  await detachNamed(attachment.name)
}

/** @param devices by number and by path: btrfs has numbers of its own */
function isOn({ device, source }: Mount, devices: ReadonlySet<string>): boolean {
  return devices.has(device) || devices.has(source)
}

/** Layers in memory lie on no device of the attachment. */
function isOfImage(mount: Mount, devices: ReadonlySet<string>, name: string): boolean {
  return isOn(mount, devices) || mount.type === 'overlay' || mount.source === memoryRoot(name)
}

/** These, and all that is mounted on top of them. */
function mountsAbove(mounts: readonly Mount[], ours: readonly Mount[]): readonly Mount[] {
  const ids = new Set(ours.map(({ id }) => id))
  // Mounts come after those they are on or cover: one pass finds all that are above.
  for (const one of mounts) if (ids.has(one.parent)) ids.add(one.id)
  return mounts.filter(({ id }) => ids.has(id))
}

/** An image without a root has one in memory, which lies on no device. */
async function dropMemoryRoots({ name }: FoundAttachment): Promise<void> {
  for (const { path, source } of [...(await listMounts())].reverse())
    if (source === memoryRoot(name)) await addon().unmount(path, unmountFlags.noFollow)
}
