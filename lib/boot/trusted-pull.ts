import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { giveName } from '../bytes/new-file.js'
import { systemError } from '../errors.js'
import type { PullOptions } from '../pull/options.js'
import { type Pulled, pull } from '../pull/pull.js'
import type { FileTarget } from '../pull/to-file.js'
import type { TreeTarget } from '../pull/to-tree.js'
import type { ImagePlace } from './root-image.js'

/** @throws what is wrong with an image */
export type Check = (place: ImagePlace) => Promise<void>

/**
 * Downloads an image. What is still to be checked has a name that nobody looks for: the system that boots finds nothing unchecked, even
 * if this program is ended before it could remove that. What is refused is of no use to anybody, and removed.
 * @param check that a raw image has to pass; without, it was verified as it came, or nobody uses it yet
 * @throws what `pull` and `check` throw
 */
export async function pullTrusted(
  url: URL,
  target: FileTarget | TreeTarget,
  pulling: PullOptions,
  check: Check | undefined,
): Promise<Pulled> {
  if (!check) return await pull(url, target, pulling)
  const { path } = target
  const unchecked = join(dirname(path), `.${basename(path)}.unchecked`)
  const pulled = await pull(url, { ...target, path: unchecked, replace: true }, pulling)
  try {
    await check({ path: unchecked })
    await giveName(unchecked, path, false).catch((error: unknown) => {
      throw systemError(error, `cannot rename ${unchecked} to ${path}`)
    })
  } finally {
    await rm(unchecked, { force: true })
  }
  return { ...pulled, path }
}
