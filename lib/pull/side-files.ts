import { rm } from 'node:fs/promises'
import { sideFiles } from '../image/root-hash-sources.js'
import { checkOptions } from '../options.js'
import { imageStem, type SideFile, sideFileEndings } from './names.js'
import { type PullOptions, pullOptionNames } from './options.js'
import { type Pulled, pull } from './pull.js'
import type { FileTarget } from './to-file.js'

/**
 * Pulls an image with files that lie beside it on its server, from where they are called as the image without its ending. It appears after
 * them; if it does not, nor do they.
 * @param target the files come beside it, called as it is without `.raw`
 * @throws as {@link pull}
 */
export async function pullWithSideFiles(
  address: string | URL,
  target: FileTarget,
  wanted: readonly SideFile[],
  options: PullOptions = {},
): Promise<Pulled> {
  checkOptions(options, pullOptionNames, 'pullWithSideFiles')
  const made: string[] = []
  try {
    for (const one of wanted) {
      const url = new URL(address)
      const ending = sideFileEndings[one]
      url.pathname = url.pathname.replace(/[^/]*$/, `${encodeURIComponent(imageStem(url))}.${ending}`)
      const path = sideFiles(target.path, ending)[0]!
      const { readOnly = false, replace = false } = target
      await pull(url, { kind: 'raw', path, readOnly, replace }, options)
      made.push(path)
    }
    return await pull(address, target, options)
  } catch (error) {
    for (const path of made) await rm(path, { force: true })
    throw error
  }
}
