import { chmod, copyFile, lutimes, mkdir, opendir, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemError } from '../errors.js'
import type { ModuleFile } from '../kernel/module-dependencies.js'
import { findProgram, runTool } from '../tool.js'
import { throwIfAborted } from '../work.js'
import { dropLanguages } from './icu-data.js'
import { unpackModule } from './kernel-modules.js'

/** A file of a tree to be made. */
export type TreeFile = {
  /** Relative to the tree. */
  readonly path: string
} & (
  | { readonly kind: 'copy'; readonly from: string }
  /** A program or library: without symbols, and without what other languages than English need. */
  | { readonly kind: 'program'; readonly from: string }
  /** @see unpackModule */
  | { readonly kind: 'module'; readonly directory: string; readonly module: ModuleFile }
  | { readonly kind: 'content'; readonly content: string | Uint8Array }
  | { readonly kind: 'link'; readonly target: string }
)

/**
 * Puts a tree together.
 * @param stage a directory to be made
 * @param epoch of all files, in seconds since 1970
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_MODULES, ERR_DDI_TOOL, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED
 */
export async function stageFiles(
  files: readonly TreeFile[],
  stage: string,
  epoch: number,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await mkdir(stage)
    for (const file of files) {
      throwIfAborted(signal)
      const path = join(stage, file.path)
      await mkdir(dirname(path), { recursive: true })
      await stageFile(file, path, signal)
    }
    for await (const entry of await opendir(stage, { recursive: true })) {
      const path = join(entry.parentPath, entry.name)
      if (entry.isDirectory()) await chmod(path, 0o755)
      await lutimes(path, epoch, epoch)
    }
    await chmod(stage, 0o755)
    await lutimes(stage, epoch, epoch)
  } catch (error) {
    throw systemError(error, 'cannot put the initrd together', {
      ENOENT: 'ERR_DDI_NOT_FOUND',
      ENOSPC: 'ERR_DDI_NO_SPACE',
      EDQUOT: 'ERR_DDI_NO_SPACE',
    })
  }
}

async function stageFile(file: TreeFile, path: string, signal: AbortSignal | undefined): Promise<void> {
  if (file.kind === 'link') return await symlink(file.target, path)
  switch (file.kind) {
    case 'copy':
      await copyFile(file.from, path)
      break
    case 'program':
      await copyStripped(file.from, path, signal)
      break
    case 'module':
      await unpackModule(file.directory, file.module, path, signal)
      break
    case 'content':
      await writeFile(path, file.content)
      break
  }
  // Whatever the umask and the modes on this machine are.
  const isExecutable = file.kind !== 'content' && ((await stat(path)).mode & 0o111) !== 0
  await chmod(path, isExecutable ? 0o755 : 0o644)
}

/** Whether this machine has the tool that leaves symbols out. */
export async function canStrip(): Promise<boolean> {
  return (await findProgram('strip')) !== undefined
}

async function copyStripped(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  if (!(await canStrip())) await copyFile(from, to)
  else
    await runTool(
      {
        command: ['strip', '--strip-unneeded', '--remove-section=.comment', '-o', to, '--', from],
        package: 'binutils',
      },
      signal,
    )
  // What is copied from a system may be read-only.
  await chmod(to, 0o755)
  await dropLanguages(to)
}
