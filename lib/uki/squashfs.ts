import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'

const level = { zstd: ['-Xcompression-level', '15'], xz: [], gzip: [] } as const
const compressions = ['zstd', 'xz', 'gzip'] as const
export type SquashfsCompression = (typeof compressions)[number]

/**
 * The best compression of squashfs that a kernel reads.
 * @param configuration of the kernel; null if it is not known: all kernels of the last years read zstd
 * @throws ERR_DDI_KERNEL_IMAGE if it reads no squashfs at all
 */
export function squashfsCompression(configuration: string | null): SquashfsCompression {
  if (configuration === null) return 'zstd'
  const options = { zstd: 'SQUASHFS_ZSTD', xz: 'SQUASHFS_XZ', gzip: 'SQUASHFS_ZLIB' }
  const has = (option: string) => new RegExp(`^CONFIG_${option}=[ym]$`, 'm').test(configuration)
  const found = has('SQUASHFS') ? compressions.find((one) => has(options[one])) : undefined
  if (found) return found
  throw new DdiError('ERR_DDI_KERNEL_IMAGE', 'the kernel reads no squashfs, as its configuration says: CONFIG_SQUASHFS')
}

export interface SquashfsOptions {
  readonly compression: SquashfsCompression
  /** Of the file system, in seconds since 1970; times of files are theirs. */
  readonly epoch: number
  readonly signal: AbortSignal | undefined
}

/** Packs a tree. @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_TOOL, ERR_DDI_ABORTED */
export async function makeSquashfs(
  tree: string,
  path: string,
  { compression, epoch, signal }: SquashfsOptions,
): Promise<void> {
  const layout = ['-noappend', '-no-progress', '-quiet', '-no-xattrs', '-all-root', '-b', '128K'] as const
  const command = ['mksquashfs', tree, path, ...layout, '-comp', compression, ...level[compression]] as const
  await runTool({ command, package: 'squashfs-tools', env: { SOURCE_DATE_EPOCH: String(epoch) } }, signal)
}
