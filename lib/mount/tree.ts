import { mkdir, mkdtemp, realpath, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { copy } from '../bytes/copy.js'
import { extentSource } from '../bytes/extents.js'
import { writeNewFile } from '../bytes/new-file.js'
import { locate } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { dissect, dissectOptionNames } from '../image/dissect.js'
import type { Dissection, UsableVolume } from '../image/dissection.js'
import { refuseUncovered } from '../image/offers.js'
import { type Image, openImage, openOptionNames } from '../image/open.js'
import { checkOptions, pickOptions } from '../options.js'
import { checkedSource } from '../verity/checked.js'
import { isMountable } from './arguments.js'
import { type ExtractedFiles, inWalkOrder, isWithin, type TreeEntry } from './entries.js'
import { extractors, settle } from './extract.js'
import { mountImage } from './mount.js'
import { type MountOptions, mountOptionNames } from './options.js'
import { findPlace, type Placed, type Placement, placements } from './places.js'
import { openRoot, type Root, readAttribute } from './root.js'
import { luks } from './unlock.js'
import { walk } from './walk.js'

/** How a tree came to be readable: mounted, or taken out by the tools of its file systems. */
export type TreeSource = { readonly kind: 'mount' } | { readonly kind: 'tool'; readonly tool: string }

/** The files of an image. */
export interface Tree {
  readonly source: TreeSource
  /** Opens files; links lead nowhere else. What the files say of themselves is only true if they are mounted. */
  readonly root: Root
  /**
   * All that is in the tree, as a mount shows it: directories before what is in them, names in the order of their bytes.
   * @throws ERR_DDI_FILE_SYSTEM for names that are not UTF-8, ERR_DDI_PERMISSION for a volume that only a mount can read
   */
  entries(): AsyncGenerator<TreeEntry>
  /** @returns an extended attribute (`user.…`) of a file; undefined if it has none of that name */
  attribute(path: string, name: string): Promise<string | undefined>
  /** Where volumes would be that only a mount can read: paths from the root of the tree. */
  readonly unread: readonly string[]
}

/**
 * Lets a function read the files of an image: mounted for just that time if we may mount and the image lies in files,
 * else as the tools of its file systems take them out. Then a volume that a trusted root hash covers is verified as a whole
 * before anything of it is read.
 * @param given path of an image file or block device, or an open image, which stays open
 * @param options `writable` needs a mount
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
  await using image = await openImage(given, pickOptions(options, openOptionNames))
  return await withTreeOf(image, options, use)
}

async function withTreeOf<Result>(
  image: Image,
  options: MountOptions,
  use: (tree: Tree) => Promise<Result>,
): Promise<Result> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'ddi-tree-')))
  if (process.geteuid?.() === 0 && locate(image.source) !== undefined) {
    try {
      const mounted = await mountImage(image, directory, options)
      try {
        await using root = await openRoot(directory)
        return await use(mountedTree(root))
      } finally {
        await mounted.unmount()
      }
    } finally {
      await rmdir(directory)
    }
  }
  try {
    const extracted = await extractAll(image, directory, options)
    await using root = await openRoot(extracted.target)
    return await use(extractedTree(root, extracted))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function mountedTree(root: Root): Tree {
  return {
    source: { kind: 'mount' },
    root,
    entries: () => walk(root),
    async attribute(path, name) {
      await using opened = await root.open(path)
      return await readAttribute(await opened.realPath(), name)
    },
    unread: [],
  }
}

/** A volume whose files are in the tree. */
interface ExtractedVolume {
  /** Of where it is in the tree; '' for the root. */
  readonly prefix: string
  readonly files: ExtractedFiles
}

interface ExtractedImage {
  readonly image: string
  readonly target: string
  readonly tools: ReadonlySet<string>
  readonly volumes: readonly ExtractedVolume[]
  readonly unread: readonly string[]
}

function extractedTree(root: Root, { image, tools, volumes, unread }: ExtractedImage): Tree {
  return {
    source: { kind: 'tool', tool: [...tools].join(', ') },
    root,
    async *entries() {
      if (unread.length > 0)
        throw new DdiError(
          'ERR_DDI_PERMISSION',
          `${image}: ${unread.join(', ')} can only be read if it is mounted (run as root?)`,
        )
      let all: readonly TreeEntry[] = []
      for (const { prefix, files } of volumes) {
        const listed = (await files.list()).map((entry) => ({ ...entry, path: join(prefix, entry.path, '.') }))
        all = [...all.filter(({ path }) => !isWithin(path, prefix)), ...listed]
      }
      yield* inWalkOrder(all.filter(({ path }) => path !== '.'))
    },
    async attribute(path, name) {
      const volume = volumes.findLast(({ prefix }) => isWithin(path, prefix))
      return await volume?.files.attribute(relative(volume.prefix, path), name)
    },
    unread,
  }
}

async function extractAll(image: Image, directory: string, options: MountOptions): Promise<ExtractedImage> {
  if (options.writable)
    throw new DdiError('ERR_DDI_PERMISSION', `${image.name} can only be written if it can be mounted (run as root?)`)
  const dissection = await dissect(image, { probe: 'used', ...pickOptions(options, dissectOptionNames) })
  refuseUncovered(dissection)
  const found = placements((designator) => dissection.roles.get(designator), options.designators)
  for (const { designator, volume } of found) if (isSystem(designator)) refuseUnread(image, designator, volume)
  if (found.length === 0) throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${image.name} has no files to read here`)
  const target = join(directory, 'tree')
  if (found[0]!.designator !== 'root') await mkdir(target, { mode: 0o700 })
  const placed: Placed[] = []
  const volumes: ExtractedVolume[] = []
  const unread: string[] = []
  const tools = new Set<string>()
  for (const placement of found) {
    const place = await findPlace(target, placement, placed, image.name)
    if (place === undefined) continue
    placed.push({ path: place, readOnly: true })
    const extractor = extractors[typeOf(placement.volume)]
    await rm(place, { recursive: true, force: true })
    if (!extractor) {
      unread.push(relative(target, place))
      continue
    }
    const file = join(directory, placement.designator)
    await copyVolume(dissection, placement, file, options)
    const files = await extractor.extract(file, place, options.signal)
    await settle(Buffer.from(place))
    tools.add(extractor.tool)
    volumes.push({ prefix: relative(target, place), files })
  }
  return { image: image.name, target, tools, volumes, unread }
}

function isSystem(designator: string): boolean {
  return designator === 'root' || designator === 'usr'
}

function typeOf({ fileSystem }: UsableVolume): string {
  return fileSystem?.type ?? ''
}

function refuseUnread(image: Image, designator: string, volume: UsableVolume): void {
  const type = typeOf(volume)
  if (extractors[type]) return
  throw new DdiError(
    isMountable(type) || type === luks ? 'ERR_DDI_PERMISSION' : 'ERR_DDI_FILE_SYSTEM',
    `${image.name}: without privileges ${Object.keys(extractors).join(', ')} can be read, and its ${designator} is ${type || 'unknown'}`,
  )
}

/** Writes a volume to a file; one that a root hash covers is verified as it is read. */
async function copyVolume(
  { image, verity }: Dissection,
  { volume }: Placement<UsableVolume>,
  file: string,
  { signal, onProgress }: MountOptions,
): Promise<void> {
  const bytes = extentSource(image.source, volume.extents)
  const pair = [...verity.values()].find(({ data }) => data === volume)
  const source = pair?.trusted ? await checkedSource(pair.superblock, bytes, pair.hash.source, pair.rootHash) : bytes
  await writeNewFile(file, source.size, (target) => copy(source, target, { sparse: true, signal, onProgress }))
}
