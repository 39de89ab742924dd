import { stat } from 'node:fs/promises'
import type { LinearExtent } from '../bytes/source.js'
import { DdiError, systemError } from '../errors.js'
import type { BaseNode, Plan, PlannedVolume } from '../image/plan.js'
import { attachLoop, type Loop, lockLoopControl } from '../kernel/loop.js'
import { throwIfAborted } from '../work.js'
import { findLoops } from './list.js'
import { loopReference } from './names.js'
import { refuseShared } from './shared.js'

/** A volume that is one run of a file. */
interface Part extends PlannedVolume {
  readonly base: BaseNode
  readonly extent: LinearExtent
}

/**
 * Makes a loop device of each volume, for kernels without device-mapper: only volumes that are one run of a file, and that
 * no root hash covers.
 * @returns the path of the device of each volume, by the id of its node
 * @throws as `activate`
 */
export async function activateLoops(plan: Plan, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, string>> {
  const parts = plan.volumes.map((volume) => partOf(volume, plan))
  // Nothing in the kernel keeps two loop devices from having one reference.
  await using _ = await lockLoopControl(signal)
  await refuseUsedName(plan)
  const loops: Loop[] = []
  try {
    const devices = new Map<string, string>()
    for (const { node, base, extent, readOnly } of parts) {
      throwIfAborted(signal)
      const loop = await attachLoop({
        backing: base.path,
        identity: base.identity,
        readOnly,
        offset: extent.start,
        size: extent.length,
        sectorSize: base.sectorSize,
        reference: loopReference({ role: 'volume', attachment: plan.name, node }),
      })
      loops.push(loop)
      checkSize(loop, extent.length, base.path)
      devices.set(node, loop.device)
    }
    await refuseShared(plan.name)
    // Only now do they outlive this process: if it is killed before, they clear themselves.
    for (const loop of loops) await loop.keep()
    return devices
  } finally {
    for (const loop of loops) await loop.close()
  }
}

/** @throws ERR_DDI_NO_DEVICE_MAPPER if the volume is more than one run of a file */
function partOf(volume: PlannedVolume, { nodes, image }: Plan): Part {
  const node = nodes.find(({ id }) => id === volume.node)
  const [extent, second] = node?.kind === 'linear' ? node.extents : []
  if (extent?.kind !== 'linear' || second)
    throw new DdiError(
      'ERR_DDI_NO_DEVICE_MAPPER',
      `this kernel has no device-mapper, which ${volume.node} of ${image} needs ` +
        `(${node?.kind === 'verity' ? 'dm-verity: a root hash covers it' : 'dm-linear: it is not one run of the disk'}): modprobe dm-mod`,
    )
  const base = nodes.find((one): one is BaseNode => one.kind === 'base' && one.id === extent.base)!
  return { ...volume, base, extent }
}

/** One name serves one image, and each of its volumes once. @throws ERR_DDI_NAME_IN_USE */
async function refuseUsedName({ name, nodes, volumes }: Plan): Promise<void> {
  const used = (await findLoops()).filter(({ mark }) => mark.attachment === name)
  if (used.length === 0) return
  const files = await Promise.all(nodes.flatMap((node) => (node.kind === 'base' ? [fileOf(node)] : [])))
  const taken = used.find(
    ({ mark, backingDevice, backingInode }) =>
      (mark.role === 'volume' && volumes.some(({ node }) => node === mark.node)) ||
      !files.includes(`${backingDevice}:${backingInode}`),
  )
  if (taken)
    throw new DdiError('ERR_DDI_NAME_IN_USE', `the name ${name} is in use: ${taken.device} is attached under it`, {
      path: taken.device,
    })
}

/** Device and inode of a file, as the kernel tells those of backing files. */
async function fileOf({ path }: BaseNode): Promise<string> {
  try {
    const { dev, ino } = await stat(path, { bigint: true })
    return `${dev}:${ino}`
  } catch (error) {
    throw systemError(error, `cannot query ${path}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
  }
}

/** A loop device has whole sectors of its backing file. @throws ERR_DDI_IMAGE_CHANGED */
export function checkSize(loop: Loop, expected: number, path: string): void {
  const whole = expected - (expected % 512)
  if (loop.size !== whole)
    throw new DdiError(
      'ERR_DDI_IMAGE_CHANGED',
      `${path} had ${whole} bytes to attach when it was read, and has ${loop.size} now: something writes to it`,
    )
}
