import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode, systemError } from '../errors.js'
import { readSmallFile } from './small-file.js'

// Where systemd's tools find definitions: files in directories, and what changes them in directories beside.

/** A definition, or a file that changes one. */
export interface DefinitionText {
  readonly path: string
  readonly text: string
}

/**
 * The definitions in directories that count, by name and in the order of their names: of one name, that of the first directory; what is
 * empty, or a link to /dev/null, masks it.
 * @param form of their names
 * @param optional the directories may be missing
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION
 */
export async function definitionFiles(
  directories: readonly string[],
  form: RegExp,
  optional = false,
): Promise<readonly (readonly [name: string, path: string])[]> {
  const found = new Map<string, string>()
  for (const directory of directories) {
    const names = await readdir(directory).catch((error: unknown) => {
      if (optional && ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return []
      const codes = { ENOENT: 'ERR_DDI_NOT_FOUND', ENOTDIR: 'ERR_DDI_NOT_FOUND' } as const
      throw systemError(error, `cannot read ${directory}`, codes)
    })
    for (const name of names) if (form.test(name) && !found.has(name)) found.set(name, join(directory, name))
  }
  const kept: [string, string][] = []
  for (const [name, path] of found) if (!(await isMask(path))) kept.push([name, path])
  return kept.sort(([a], [b]) => (a < b ? -1 : 1))
}

/** What changes a definition of one name, in its order: `NAME.d/*.conf` of all directories. @throws as {@link definitionFiles} */
export async function readDropIns(directories: readonly string[], name: string): Promise<readonly DefinitionText[]> {
  const beside = directories.map((directory) => join(directory, `${name}.d`))
  const texts: DefinitionText[] = []
  for (const [, path] of await definitionFiles(beside, /\.conf$/, true)) texts.push(await readDefinition(path))
  return texts
}

/** @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION */
export async function readDefinition(path: string): Promise<DefinitionText> {
  return { path, text: (await readSmallFile(path)).toString() }
}

async function isMask(path: string): Promise<boolean> {
  const stats = await stat(path).catch((error: unknown) => {
    throw systemError(error, `cannot read ${path}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
  })
  return !stats.isFile() || stats.size === 0
}
