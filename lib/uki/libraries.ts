import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { openFile } from '../bytes/file.js'
import { readIfThere } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'
import { type Elf, readElf } from './elf.js'

/** What programs need to run. */
export interface Libraries {
  /** The path of each library, by the name under which it is looked for. */
  readonly libraries: ReadonlyMap<string, string>
  /** The dynamic loader; null if all programs are linked statically. */
  readonly loader: string | null
}

interface Wanted {
  readonly name: string
  readonly by: string
  /** Searched first, in order. */
  readonly directories: readonly string[]
  /** Those of them that are searched for what this library needs, too: by DT_RPATH. */
  readonly inherited: readonly string[]
}

/** Those that glibc is built with, for processors that it runs on. */
const triplets = ['x86_64-linux-gnu', 'aarch64-linux-gnu'] as const
const defaultDirectories = ['/lib', '/usr/lib'].flatMap((directory) => [
  ...triplets.map((triplet) => join(directory, triplet)),
  `${directory}64`,
  directory,
])

/**
 * Finds every library that programs need, as the dynamic loader does: ld.so(8), without its environment.
 * @param files programs and libraries
 * @param opened names of libraries that they open as they run
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_ELF, ERR_DDI_NOT_FOUND
 */
export async function findLibraries(files: readonly string[], opened: readonly string[]): Promise<Libraries> {
  const configured = [...(await configuredDirectories('/etc/ld.so.conf')), ...defaultDirectories]
  const libraries = new Map<string, string>()
  const roots = await Promise.all(files.map(async (path) => ({ path, elf: await readElfFile(path) })))
  const machine = roots[0]?.elf.machine
  const queue: Wanted[] = [
    ...roots.flatMap(({ path, elf }) => wantedBy(path, elf, [])),
    ...opened.map((name) => ({ name, directories: [], by: roots[0]?.path ?? '', inherited: [] })),
  ]
  const loader = roots.map(({ elf }) => elf.interpreter).find((one) => one !== null) ?? null
  for (let wanted = queue.shift(); wanted; wanted = queue.shift()) {
    if (libraries.has(wanted.name)) continue
    const found = await findLibrary(wanted, [...wanted.directories, ...configured], machine)
    libraries.set(wanted.name, found.path)
    queue.push(...wantedBy(found.path, found.elf, wanted.inherited))
  }
  // The loader is not looked for, it is there; that libraries name it changes nothing.
  if (loader !== null) libraries.delete(basename(loader))
  return { libraries, loader }
}

/** @param given directories by the DT_RPATH of those that need this file */
function wantedBy(path: string, { needed, rPath, runPath }: Elf, given: readonly string[]): Wanted[] {
  // What names no place, or one relative to where a program is started, is not for an initrd.
  const expand = (paths: readonly string[]) =>
    paths.map((one) => one.replace(/\$(ORIGIN|\{ORIGIN\})/g, dirname(path))).filter((one) => isAbsolute(one))
  const inherited = runPath.length > 0 ? given : [...expand(rPath), ...given]
  const directories = runPath.length > 0 ? expand(runPath) : inherited
  return needed.map((name) => ({ name, by: path, directories, inherited }))
}

async function findLibrary(
  { name, by }: Wanted,
  directories: readonly string[],
  machine: number | undefined,
): Promise<{ readonly path: string; readonly elf: Elf }> {
  const candidates = isAbsolute(name) ? [name] : directories.map((directory) => join(directory, name))
  for (const candidate of candidates) {
    if (!(await isFile(candidate))) continue
    const elf = await readElfFile(candidate).catch((error: unknown) => {
      // Of another processor, or no library at all: the loader looks further, too.
      if (error instanceof DdiError && error.code === 'ERR_DDI_ELF') return undefined
      throw error
    })
    if (elf && (machine === undefined || elf.machine === machine)) return { path: await realpath(candidate), elf }
  }
  throw new DdiError('ERR_DDI_LIBRARY_MISSING', `${by} needs ${name}, which no directory of libraries has: install it`)
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  )
}

export async function readElfFile(path: string): Promise<Elf> {
  await using file = await openFile(path)
  return await readElf(file, path)
}

/** The directories of ld.so.conf and of what it includes, whose patterns are about the last component: ldconfig(8). */
async function configuredDirectories(path: string, depth = 0): Promise<string[]> {
  const text = (await readIfThere(path))?.toString('utf8') ?? ''
  const directories: string[] = []
  for (const line of text.split('\n').map((one) => one.replace(/#.*/, '').trim())) {
    const [, pattern] = /^include\s+(\S.*)$/s.exec(line) ?? []
    if (pattern === undefined) directories.push(...line.split(/[\s:,]+/).filter((one) => isAbsolute(one)))
    else if (depth < 4)
      for (const included of await matching(isAbsolute(pattern) ? pattern : join(dirname(path), pattern)))
        directories.push(...(await configuredDirectories(included, depth + 1)))
  }
  return directories
}

async function matching(pattern: string): Promise<string[]> {
  const [prefix = '', ...rest] = basename(pattern).split('*')
  const suffix = rest.join('*')
  const names = await readdir(dirname(pattern)).catch(() => [])
  const isMatch = (name: string) =>
    rest.length === 0 ? name === prefix : name.startsWith(prefix) && name.endsWith(suffix) && !name.startsWith('.')
  return names
    .filter(isMatch)
    .sort()
    .map((name) => join(dirname(pattern), name))
}
