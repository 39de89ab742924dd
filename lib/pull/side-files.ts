import { copyFile, link, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { giveName, makeDirectories, refuseNewFile } from '../bytes/new-file.js'
import { openScratchDirectory } from '../bytes/scratch.js'
import { systemCode, systemError } from '../errors.js'
import { sideFiles } from '../image/root-hash-sources.js'
import { checkOptions } from '../options.js'
import { directoryMode, imageStem, type SideFile, sideFileEndings } from './names.js'
import { type PullOptions, pullOptionNames } from './options.js'
import { type Pulled, pull, pullAfter } from './pull.js'
import type { FileTarget } from './to-file.js'

/**
 * Pulls an image with files that lie beside it on its server, from where they are called as the image without its ending. All are
 * verified before any of them appears; the image appears last. If it does not, what they would have replaced is as before.
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
  const { readOnly = false, replace = false } = target
  const directory = dirname(target.path)
  await makeDirectories(directory, directoryMode(directory))
  const paths = wanted.map((one) => sideFiles(target.path, sideFileEndings[one])[0]!)
  for (const path of [target.path, ...paths]) await refuseNewFile(path, { replace })
  await using scratch = await openScratchDirectory(target.path)
  const parts: Part[] = []
  for (const [index, path] of paths.entries()) {
    const url = new URL(address)
    url.pathname = url.pathname.replace(
      /[^/]*$/,
      `${encodeURIComponent(imageStem(url))}.${sideFileEndings[wanted[index]!]}`,
    )
    const from = join(scratch.path, basename(path))
    await pull(url, { kind: 'raw', path: from, readOnly }, options)
    parts.push({ from, path, before: `${from}.before` })
  }
  const placed: Part[] = []
  const place = async () => {
    for (const one of parts) {
      await keepBefore(one)
      placed.push(one)
      await giveName(one.from, one.path, replace).catch((error: unknown) => {
        throw systemError(error, `cannot create ${one.path}`)
      })
    }
  }
  try {
    return await pullAfter(place, address, target, options)
  } catch (error) {
    for (const one of placed) await putBack(one)
    throw error
  }
}

/** A side file: where it was pulled to, where it belongs, and another name of what lies there before. */
interface Part {
  readonly from: string
  readonly path: string
  readonly before: string
}

async function keepBefore({ path, before }: Part): Promise<void> {
  try {
    // Not every file system has hard links.
    await link(path, before).catch(async () => await copyFile(path, before))
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw systemError(error, `cannot replace ${path}`)
  }
}

async function putBack({ path, before }: Part): Promise<void> {
  await rename(before, path).catch(async () => await rm(path, { force: true }))
}
