import { stat } from 'node:fs/promises'
import { probeFileSystem } from '../../bindings/blkid.js'
import { deviceNumber, openFile } from '../bytes/file.js'
import type { LinearExtent } from '../bytes/source.js'
import type { Disk } from '../disk/disk.js'
import type { WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { mountPoints } from '../kernel/mounts.js'
import { runTool, type Tool } from '../tool.js'
import { attachedDevice } from './disk.js'

/** The tools that grow a file system to fill its device, and the packages that have them. */
const tools: Readonly<Record<string, (device: string, mountPoint: string | undefined) => ResizeTool>> = {
  ext2: (device) => ({ command: ['resize2fs', device], package: 'e2fsprogs', mounted: false }),
  ext3: (device) => ({ command: ['resize2fs', device], package: 'e2fsprogs', mounted: false }),
  ext4: (device) => ({ command: ['resize2fs', device], package: 'e2fsprogs', mounted: false }),
  xfs: (_, mountPoint = '') => ({ command: ['xfs_growfs', mountPoint], package: 'xfsprogs', mounted: true }),
  btrfs: (_, mountPoint = '') => ({
    command: ['btrfs', 'filesystem', 'resize', 'max', mountPoint],
    package: 'btrfs-progs',
    mounted: true,
  }),
}

interface ResizeTool extends Tool {
  /** Grows mounted file systems only. */
  readonly mounted: boolean
}

/**
 * Prepares to grow the file system of an attached volume with the file system's own tool. Call it before the volume grows, so that it can refuse,
 * and what it returns after that.
 * @returns grows the file system to fill the volume; rejects with ERR_DDI_LIBRARY_MISSING if its tool is not installed, and with
 *   ERR_DDI_TOOL and the output of the tool if it fails
 * @throws ERR_DDI_NOT_ATTACHED; ERR_DDI_USAGE for a file system that cannot grow, or has to be mounted first
 */
export async function prepareResize(
  disk: Pick<Disk, 'path'>,
  volume: WholeVolume<LinearExtent>,
): Promise<() => Promise<void>> {
  const device = await attachedDevice(volume, disk.path)
  if (device === undefined)
    throw new DdiError(
      'ERR_DDI_NOT_ATTACHED',
      `${volume.label || volume.uuid} is not attached, and its file system is resized on its device`,
    )
  await using source = await openFile(device)
  return await prepareResizeOn(device, probeFileSystem(source.fd, device, 0, source.size)?.type ?? null)
}

/**
 * Prepares to grow the file system on a device with its own tool: ext2 to ext4 mounted or not, xfs and btrfs only while
 * mounted. Call it before the device grows, so that it can refuse.
 * @param device path of the device
 * @param type of the file system, as blkid names it; null if it knows none
 * @returns grows the file system; rejects with ERR_DDI_LIBRARY_MISSING if the tool is not installed, and with ERR_DDI_TOOL
 *   and the output of the tool if it fails
 * @throws ERR_DDI_USAGE if the file system cannot grow, or has to be mounted first
 */
export async function prepareResizeOn(device: string, type: string | null): Promise<() => Promise<void>> {
  const mountPoint = (await mountPoints()).get(deviceNumber((await stat(device)).rdev))
  const tool = tools[type ?? '']?.(device, mountPoint)
  if (!tool) throw new DdiError('ERR_DDI_USAGE', `${device} holds ${type ?? 'nothing'}, which cannot grow`)
  if (tool.mounted && mountPoint === undefined)
    throw new DdiError('ERR_DDI_USAGE', `${device} holds ${type}, which grows only while it is mounted: mount it first`)
  return async () => void (await runTool(tool))
}
