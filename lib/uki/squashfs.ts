import { runTool } from '../tool.js'

/** Packs a tree; times are those of its files. @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_TOOL, ERR_DDI_ABORTED */
export async function makeSquashfs(
  tree: string,
  path: string,
  epoch: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const compression = ['-comp', 'zstd', '-Xcompression-level', '15', '-b', '128K']
  const command = ['mksquashfs', tree, path, '-noappend', '-no-progress', '-quiet', '-no-xattrs', '-all-root'] as const
  const env = { SOURCE_DATE_EPOCH: String(epoch) }
  await runTool({ command: [...command, ...compression], package: 'squashfs-tools', env }, signal)
}
