import { stat } from 'node:fs/promises'
import { addon } from '../../bindings/addon.js'
import { readIfThere } from '../bytes/small-file.js'
import { systemCode, systemError } from '../errors.js'
import { parseRootHash } from '../verity/root-hash.js'

/** The designators that verity protects. */
export type ProtectedDesignator = 'root' | 'usr'

/** A root hash, and where it was found. */
export interface KnownRootHash {
  readonly bytes: Uint8Array
  readonly source: 'option' | 'file' | 'extended-attribute' | 'signature'
}

/** The endings of side files with root hashes. */
export const rootHashEndings = { root: 'roothash', usr: 'usrhash' } as const

/** `image.raw` keeps its side files as `image.roothash` (systemd’s way); `image.raw.roothash` is accepted too. */
export function sideFiles(imagePath: string, ending: string): string[] {
  const stem = imagePath.replace(/\.raw$/, '')
  return [...new Set([`${stem}.${ending}`, `${imagePath}.${ending}`])]
}

/**
 * Finds the root hash of a volume: the given one, else the image’s side file, else its extended attribute
 * (`user.verity.roothash`, `user.verity.usrhash`).
 * @throws ERR_DDI_ROOT_HASH_FORMAT for a given one, ERR_DDI_ROOT_HASH_FILE for one beside the image
 */
export async function findRootHash(
  imagePath: string | null,
  designator: ProtectedDesignator,
  given: string | undefined,
): Promise<KnownRootHash | undefined> {
  if (given !== undefined) return { bytes: parseRootHash(given), source: 'option' }
  if (imagePath === null) return undefined
  const ending = rootHashEndings[designator]
  for (const path of sideFiles(imagePath, ending)) {
    const text = (await readIfThere(path))?.toString('utf8')
    if (text !== undefined) return { bytes: parseRootHash(text, path, 'ERR_DDI_ROOT_HASH_FILE'), source: 'file' }
  }
  const name = `user.verity.${ending}`
  const text = await attribute(imagePath, name)
  if (text === undefined) return undefined
  const bytes = parseRootHash(text, `${name} of ${imagePath}`, 'ERR_DDI_ROOT_HASH_FILE')
  return { bytes, source: 'extended-attribute' }
}

/** The `.verity` side file of an image, if there is one. */
export async function findVeritySideFile(imagePath: string): Promise<string | undefined> {
  for (const path of sideFiles(imagePath, 'verity')) {
    try {
      await stat(path)
      return path
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw systemError(error, `cannot stat ${path}`)
    }
  }
  return undefined
}

async function attribute(path: string, name: string): Promise<string | undefined> {
  try {
    return await addon().getExtendedAttribute(path, name)
  } catch (error) {
    // Absent, or the file system or node has no user attributes at all.
    if (['ENODATA', 'ENOENT', 'ENOTSUP', 'EPERM'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot read the extended attributes of ${path}`)
  }
}
