import { mkdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openScratchDirectory } from '../bytes/scratch.js'
import { locate } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { type Image, openImage, openOptionNames } from '../image/open.js'
import { checkOptions, pickOptions } from '../options.js'
import type { Tree } from './entries.js'
import { extractedTree, extractImage } from './extract.js'
import { type MountedImage, mountImage } from './mount.js'
import { type MountOptions, mountOptionNames } from './options.js'
import { placedDesignators } from './places.js'
import { openRoot, type Root, readAttribute } from './root.js'
import { walk } from './walk.js'

/**
 * Calls a function that reads the files of an image, or of a directory that is as good as one. They are mounted for that time if this process may mount and the image
 * lies in files; else the tools of its file systems take them out, and a volume that a trusted root hash covers is verified as
 * a whole first. The mount is in the namespace of this process, below a directory that only its user may enter; nothing in it
 * can be run, and no link in it is followed but by the tree.
 * @param given path of an image file, block device or directory, or an open image, which stays open
 * @param options `writable` needs a mount of an image
 * @throws what `mountImage` throws; ERR_DDI_PERMISSION if only a mount can read the file system, or something is to be
 *   written; ERR_DDI_VERITY_CORRUPT, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING
 */
export async function withTree<Result>(
  given: string | Image,
  options: MountOptions,
  use: (tree: Tree) => Promise<Result>,
): Promise<Result> {
  checkOptions(options, mountOptionNames, 'withTree')
  if (typeof given !== 'string') return await withTreeOf(given, options, use)
  if (await isDirectory(given)) return await withDirectory(given, options, use)
  await using image = await openImage(given, pickOptions(options, openOptionNames))
  return await withTreeOf(image, options, use)
}

async function isDirectory(path: string): Promise<boolean> {
  // What is wrong with the path, opening it says.
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false
}

/** What vouches for volumes, or is done to them. */
const ofVolumes = ['rootHash', 'usrHash', 'verityData', 'rootHashSignature', 'certificates', 'policy'] as const

/** @throws ERR_DDI_USAGE for trust that nothing could be verified by: a directory has no volumes */
async function withDirectory<Result>(
  path: string,
  options: MountOptions,
  use: (tree: Tree) => Promise<Result>,
): Promise<Result> {
  const vain = ofVolumes.find((name) => options[name] !== undefined)
  if (vain !== undefined || (options.signature ?? 'auto') !== 'auto')
    throw new DdiError(
      'ERR_DDI_USAGE',
      `${path} is a directory, and nothing in it is verified: ${vain ?? 'signature'} has no effect`,
    )
  await using root = await openRoot(path)
  return await use(mountedTree(root, options.signal))
}

async function withTreeOf<Result>(
  image: Image,
  options: MountOptions,
  use: (tree: Tree) => Promise<Result>,
): Promise<Result> {
  // What is mounted or extracted in it has the modes that the image says.
  await using directory = await openScratchDirectory(join(tmpdir(), 'ddi-tree'))
  const place = join(directory.path, 'root')
  await mkdir(place)
  const mounted = await mountIfPossible(image, place, options)
  if (!mounted) return await withExtracted(image, directory.path, options, use)
  try {
    await using root = await openRoot(mounted.path, image.name)
    return await use(mountedTree(root, options.signal))
  } finally {
    await mounted.unmount()
  }
}

/** Looking at files takes none of what they may do; their links are followed here, and by nobody else (Linux 5.10). */
function confined({ mountOptions = {} }: MountOptions): NonNullable<MountOptions['mountOptions']> {
  const words = placedDesignators.map((one) => [one, `${mountOptions[one] ?? ''},nosuid,nodev,noexec,nosymfollow`])
  return Object.fromEntries(words) as NonNullable<MountOptions['mountOptions']>
}

/**
 * Mounts an image that can be mounted.
 * @returns undefined if it can only be read: without privileges, if it lies in no file, or if it needs device-mapper and the kernel
 *   has none
 * @throws ERR_DDI_PERMISSION if it is to be written then
 */
async function mountIfPossible(
  image: Image,
  directory: string,
  options: MountOptions,
): Promise<MountedImage | undefined> {
  const isInFiles = locate(image.source) !== undefined
  if (isInFiles && process.geteuid?.() === 0) {
    try {
      return await mountImage(image, directory, { ...options, mountOptions: confined(options) })
    } catch (error) {
      const needsMapper = error instanceof DdiError && error.code === 'ERR_DDI_NO_DEVICE_MAPPER'
      if (!needsMapper || options.writable) throw error
    }
  }
  if (options.writable)
    throw new DdiError(
      'ERR_DDI_PERMISSION',
      `${image.name} can only be written if it can be mounted${isInFiles ? ' (run as root?)' : ', and it lies in no file'}`,
    )
  return undefined
}

async function withExtracted<Result>(
  image: Image,
  directory: string,
  options: MountOptions,
  use: (tree: Tree) => Promise<Result>,
): Promise<Result> {
  const files = join(directory, 'files')
  await mkdir(files)
  const extracted = await extractImage(image, files, options)
  await using root = await openRoot(extracted.target, image.name)
  return await use(extractedTree(root, extracted))
}

function mountedTree(root: Root, signal: AbortSignal | undefined): Tree {
  return {
    source: { kind: 'mount' },
    root,
    entries: () => walk(root, signal),
    async attribute(path, name) {
      await using opened = await root.open(path)
      return await readAttribute(await opened.realPath(), name)
    },
    unread: [],
  }
}
