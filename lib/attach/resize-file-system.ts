import { stat } from 'node:fs/promises'
import { deviceNumber } from '../bytes/file.js'
import { DdiError } from '../errors.js'
import { mountPoints } from '../kernel/mounts.js'
import { runTool, type Tool } from '../tool.js'

/** The tools that let a file system fill its device: what each needs, and the package that has it. */
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
  /** Works on the mounted file system only. */
  readonly mounted: boolean
}

/**
 * Prepares to let the file system on a device fill it, by its own tool: mounted or not for ext2 to ext4, mounted for xfs
 * and btrfs. What can be known to be wrong is so before the device grows.
 * @param type as blkid names it
 * @returns does it; rejects with ERR_DDI_LIBRARY_MISSING where the tool is not installed, and with ERR_DDI_TOOL where it
 *   fails, with what it said
 * @throws ERR_DDI_USAGE where it has to be mounted, or cannot grow
 */
export async function prepareResize(device: string, type: string | null): Promise<() => Promise<void>> {
  const mountPoint = (await mountPoints()).get(deviceNumber((await stat(device)).rdev))
  const tool = tools[type ?? '']?.(device, mountPoint)
  if (!tool) throw new DdiError('ERR_DDI_USAGE', `${device} holds ${type ?? 'nothing'}, which cannot grow`)
  if (tool.mounted && mountPoint === undefined)
    throw new DdiError('ERR_DDI_USAGE', `${device} holds ${type}, which grows only while it is mounted: mount it first`)
  return async () => void (await runTool(tool))
}
