import { basename, join } from 'node:path'
import { DdiError } from '../errors.js'
import { rootHashEndings } from '../image/root-hash-sources.js'
import { type ImageClass, imageClasses } from '../image-classes.js'
import { type ImageKind, kindOf, withoutEnding, withoutRawEnding } from '../image-endings.js'
import { fileNameOf } from './address.js'

export type { ImageKind } from '../image-endings.js'

/** Machines hold secrets, and programs that are set-user-ID but not of this system. @returns the mode of a directory for images */
export function directoryMode(path: string): number {
  return [imageClasses.machine, '/run/machines'].includes(path) ? 0o700 : 0o777
}

/** The name of an image's file without the endings that say how it is packed: `acme_1.4` of `…/acme_1.4.raw.xz`. */
export function imageStem(url: URL): string {
  return withoutRawEnding(fileNameOf(url))
}

/** What a file is, by its name. */
export function imageKind(url: URL): ImageKind {
  return kindOf(fileNameOf(url))
}

/**
 * The name of an image from its address, as systemd strips it: `…/os_1.4.raw.xz` is `os_1.4`.
 * @throws ERR_DDI_NAME if that cannot name an image
 */
export function imageName(url: URL, given?: string): string {
  const name = given ?? withoutEnding(fileNameOf(url))
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.+~-]{0,250}$/.test(name))
    throw new DdiError(
      'ERR_DDI_NAME',
      `${JSON.stringify(name)} is not a valid image name: use up to 251 of A-Z a-z 0-9 _ . + ~ -, beginning with a letter, a digit or _`,
    )
  return name
}

/**
 * The path of an image of a class.
 * @param runtime below /run, where it is gone with the next boot. Default: false
 */
export function imagePath(use: ImageClass, name: string, kind: ImageKind, runtime = false): string {
  const directory = imageClasses[use]
  return join(runtime ? join('/run', basename(directory)) : directory, kind === 'raw' ? `${name}.raw` : name)
}

/** What may lie beside an image, and how its name ends. */
export const sideFileEndings = {
  roothash: rootHashEndings.root,
  signature: `${rootHashEndings.root}.p7s`,
  verity: 'verity',
} as const
/** A file that may lie beside an image. */
export type SideFile = keyof typeof sideFileEndings
