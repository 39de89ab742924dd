import { constants } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import type { Tree } from './entries.js'
import { isMissing, readTextInRoot } from './root.js'

// systemd's rules: dissect-image.c, dissected_image_new(); os-util.c, open_extension_release(), and path_extract_image_name() of 256.

/** The endings that systemd strips from the file name of an image, all of them. */
const suffixes = ['bin', 'bz2', 'gz', 'img', 'qcow2', 'raw', 'xz', 'zst']

/**
 * The names that the release file of an extension image may have: that of the file, which systemd up to 255 wants, then, as
 * 256 and later have it, without what says that it is an extension, a version and tries.
 * @param image path or name
 * @returns none if it cannot have one
 */
export function extensionNames(image: string): readonly string[] {
  const parts = basename(image).split('.')
  while (parts.length > 1 && suffixes.includes(parts.at(-1)!)) parts.pop()
  const name = parts.join('.')
  const unclassed = name.replace(/\.(?:sysext|confext)$/, '')
  return [...new Set([name, unclassed, unclassed.replace(/[_+].*$/s, '')])].filter(isImageName)
}

function isImageName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.startsWith('.#') && !/[\p{Cc}\ufffd]/u.test(name)
}

const prefix = 'extension-release.'
const strict = 'user.extension-release.strict'
/** What systemd parses as false. */
const no = /^(?:0|no?|f(?:alse)?|off)$/i
/** An image alone does not decide how long we look. */
const mostCandidates = 64

/**
 * Reads the release file of an extension image: that of one of its names, else the only one of another name whose extended
 * attribute says that names need not match.
 * @param image path or name of the image
 * @param directory with `extension-release.d`: usr/lib, or etc
 * @returns undefined if there is none
 */
export async function readExtensionRelease(tree: Tree, image: string, directory: string): Promise<string | undefined> {
  const names = extensionNames(image)
  if (names.length === 0) return undefined
  const releases = `${directory}/extension-release.d`
  for (const name of names) {
    const exact = await readTextInRoot(tree.root, `${releases}/${prefix}${name}`)
    if (exact !== undefined) return exact
  }
  const others = await renamed(tree, releases)
  return others.length === 1 ? await readTextInRoot(tree.root, others[0]!) : undefined
}

/** The release files whose names need not match the image's. */
async function renamed({ root, attribute }: Tree, releases: string): Promise<readonly string[]> {
  try {
    await using opened = await root.open(releases, constants.O_RDONLY | constants.O_DIRECTORY)
    const path = relative(root.path, await opened.realPath())
    const files = (await readdir(opened.path, { withFileTypes: true }))
      .filter((file) => file.isFile() && file.name.startsWith(prefix) && isImageName(file.name.slice(prefix.length)))
      .map((file) => join(path, file.name))
    const found: string[] = []
    for (const file of files.slice(0, mostCandidates))
      if (no.test((await attribute(file, strict)) ?? '')) found.push(file)
    return found
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}
