import { constants } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import type { Tree } from './entries.js'
import { isMissing, readTextInRoot } from './root.js'

// systemd's rules: dissect-image.c, dissected_image_new(); os-util.c, open_extension_release().

/** The endings that systemd strips from the file name of an image, all of them. */
const suffixes = ['bin', 'bz2', 'gz', 'img', 'qcow2', 'raw', 'xz', 'zst']

/**
 * The name that the release file of an extension image has to have.
 * @param image path or name
 * @returns undefined if it cannot have one
 */
export function extensionName(image: string): string | undefined {
  const parts = basename(image).split('.')
  while (parts.length > 1 && suffixes.includes(parts.at(-1)!)) parts.pop()
  const name = parts.join('.')
  return isImageName(name) ? name : undefined
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
 * Reads the release file of an extension image: that of its name, else the only one of another name whose extended
 * attribute says that names need not match.
 * @param image path or name of the image
 * @param directory with `extension-release.d`: usr/lib, or etc
 * @returns undefined if there is none
 */
export async function readExtensionRelease(tree: Tree, image: string, directory: string): Promise<string | undefined> {
  const name = extensionName(image)
  if (name === undefined) return undefined
  const releases = `${directory}/extension-release.d`
  const exact = await readTextInRoot(tree.root, `${releases}/${prefix}${name}`)
  if (exact !== undefined) return exact
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
