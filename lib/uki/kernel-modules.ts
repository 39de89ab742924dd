import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { readIfThere } from '../bytes/small-file.js'
import { DdiError, systemError } from '../errors.js'
import { type ModuleFile, moduleName } from '../kernel/module-dependencies.js'
import { runTool } from '../tool.js'
import { type ModuleIndex, parseModuleIndex } from './module-index.js'

/**
 * Reads what depmod(8) says of the modules of a kernel.
 * @param directory as `/lib/modules/6.1.0-50-amd64`
 * @throws ERR_DDI_MODULES if there is no `modules.dep`, or it is malformed
 */
export async function readModuleIndex(directory: string): Promise<ModuleIndex> {
  const text = async (name: string) => (await readIfThere(join(directory, name)))?.toString('utf8')
  const [dep, builtin = '', alias = '', softdep = ''] = await Promise.all(
    ['modules.dep', 'modules.builtin', 'modules.alias', 'modules.softdep'].map(text),
  )
  if (dep === undefined)
    throw new DdiError('ERR_DDI_MODULES', `${directory} has no modules.dep: is it that of a kernel? If so, run depmod`)
  return parseModuleIndex({ dep, builtin, alias, softdep })
}

/**
 * What a kernel was configured with.
 * @param directory of its modules, where some distributions have it
 * @param beside another place: Debian has it beside the kernel
 * @returns null if neither has it
 */
export async function kernelConfiguration(directory: string, beside?: string): Promise<string | null> {
  for (const path of [join(directory, 'config'), ...(beside === undefined ? [] : [beside])]) {
    const found = await readIfThere(path)
    if (found) return found.toString('utf8')
  }
  return null
}

/** Where a module is once it is unpacked: the kernel need not be able to. */
export function unpackedPath({ path }: ModuleFile): string {
  return path.replace(/\.(gz|xz|zst)$/, '')
}

/** `modules.dep`, `modules.alias` and `modules.softdep` of some of the modules, by their names. */
export async function partialIndex(
  directory: string,
  modules: readonly ModuleFile[],
): Promise<ReadonlyMap<string, string>> {
  const names = new Set(modules.map(({ path }) => moduleName(path)))
  const unpacked = (paths: readonly string[]) => paths.map((path) => unpackedPath({ path, needs: [] })).join(' ')
  const dep = modules.map((module) => `${unpackedPath(module)}: ${unpacked(module.needs)}`.trimEnd())
  const kept = async (name: string, field: number) => {
    const lines = ((await readIfThere(join(directory, name)))?.toString('utf8') ?? '').split('\n')
    return lines.filter((line) => !line.startsWith('#') && names.has(moduleName(line.split(/\s+/)[field] ?? '')))
  }
  const builtin = ((await readIfThere(join(directory, 'modules.builtin')))?.toString('utf8') ?? '').trimEnd()
  const files = {
    'modules.dep': dep,
    'modules.alias': await kept('modules.alias', 2),
    'modules.softdep': await kept('modules.softdep', 1),
    'modules.builtin': builtin === '' ? [] : [builtin],
  }
  return new Map(Object.entries(files).map(([name, lines]) => [name, lines.map((line) => `${line}\n`).join('')]))
}

/** Writes a module as the kernel loads it, without compression. @throws ERR_DDI_MODULES if it is not there */
export async function unpackModule(
  directory: string,
  { path }: ModuleFile,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  const from = join(directory, path)
  const bytes = await readFile(from).catch((error: unknown) => {
    throw systemError(error, `cannot read the module ${basename(path)} of modules.dep`, {
      ENOENT: 'ERR_DDI_MODULES',
      ENOTDIR: 'ERR_DDI_MODULES',
    })
  })
  await writeFile(target, await unpack(from, bytes, signal))
}

async function unpack(path: string, bytes: Buffer, signal: AbortSignal | undefined): Promise<Buffer> {
  const tool = path.endsWith('.xz') ? 'xz' : path.endsWith('.zst') ? 'zstd' : undefined
  if (tool !== undefined) {
    const command = [tool, '--decompress', '--stdout', '--quiet', '--', path] as const
    const output = await runTool({ command, package: tool === 'xz' ? 'xz-utils' : 'zstd', encoding: 'latin1' }, signal)
    return Buffer.from(output, 'latin1')
  }
  if (!path.endsWith('.gz')) return bytes
  return await promisify(gunzip)(bytes).catch((error: unknown) => {
    throw new DdiError('ERR_DDI_MODULES', `${path} cannot be unpacked: ${String(error)}`, { cause: error })
  })
}
