import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot, run } from '../support/run.js'

/** Where the programs of this folder keep what they fetched. */
export const corpus = join(packageRoot, 'build/corpus')

/** The repository of a public project, `OWNER/NAME`: from the folder DDI_CORPUS, bare or not, or cloned once. */
export function repositoryOf(name: string): string {
  const given = process.env['DDI_CORPUS']
  if (given !== undefined) return join(given, name)
  const path = join(corpus, 'clones', name)
  if (!existsSync(path)) run('git', 'clone', '--quiet', '--bare', '--depth=1', `https://github.com/${name}`, path)
  return path
}
