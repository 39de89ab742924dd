import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { openFile } from '../bytes/file.js'
import { type DiskContents, readDisk } from '../disk/contents.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { imagesAmong, type StoreImage } from './image.js'

/** A disk as its table describes it, and the images on it. */
export interface FoundStore extends DiskContents {
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** In the order of the table. */
  readonly images: readonly StoreImage[]
}

/** Reads what a disk or disk image says of its images. @throws as `openFile` and `readGpt` */
export async function readStore(path: string): Promise<FoundStore> {
  await using disk = await openFile(path)
  const contents = await readDisk(disk)
  return { ...contents, path, size: disk.size, images: imagesAmong(contents.volumes) }
}

/** Options of {@link findStores}. */
export interface FindStoresOptions {
  /** The root directory to look for devices in. Default: / */
  readonly root?: string
}
const findStoresOptionNames: OptionNames<FindStoresOptions> = { root: true }

/**
 * Reads all block devices that have a GPT and hold images, partitions and loop devices over others aside.
 * @throws ERR_DDI_PERMISSION
 */
export async function findStores(options: FindStoresOptions = {}): Promise<readonly FoundStore[]> {
  checkOptions(options, findStoresOptionNames, 'findStores')
  return (await readDisks(options.root ?? '/')).filter(({ images }) => images.length > 0)
}

/**
 * Reads all block devices that have a GPT, with images or without, partitions aside.
 * @param root the root directory to look for devices in
 * @throws ERR_DDI_PERMISSION
 */
export async function readDisks(root: string): Promise<readonly FoundStore[]> {
  const directory = join(root, 'sys/class/block')
  const found: FoundStore[] = []
  for (const name of (await readdir(directory).catch(() => [])).sort()) {
    if (await exists(join(directory, name, 'partition'))) continue
    // A loop device over another device, as under an image that runs, has no disk of its own.
    const backing = await readFile(join(directory, name, 'loop/backing_file'), 'utf8').catch(() => '')
    if (backing.startsWith('/dev/')) continue
    const size = await readFile(join(directory, name, 'size'), 'latin1').catch(() => '0')
    const disk = Number(size) > 0 ? await readIfDisk(join(root, 'dev', name.replaceAll('!', '/'))) : undefined
    if (disk) found.push(disk)
  }
  return found
}

/** @returns undefined if a device holds no table, or cannot be read @throws ERR_DDI_PERMISSION */
export async function readIfDisk(path: string): Promise<FoundStore | undefined> {
  try {
    return await readStore(path)
  } catch (error) {
    // Most devices hold no table; some have no node or no medium, or are broken.
    const codes: readonly string[] = ['ERR_DDI_NOT_FOUND', 'ERR_DDI_IO']
    if (error instanceof DdiError && (error.kind === 'image' || codes.includes(error.code))) return undefined
    throw error
  }
}

/**
 * The store with the images of a product.
 * @throws ERR_DDI_NO_VOLUME if none has any, ERR_DDI_STORE_AMBIGUOUS if several do
 */
export function storeOfProduct(stores: readonly FoundStore[], product: string): FoundStore {
  const [found, ...others] = stores.filter(({ images }) => images.some((image) => image.product === product))
  if (!found) throw new DdiError('ERR_DDI_NO_VOLUME', `no disk of this machine has an image of ${product}`)
  if (others.length > 0)
    throw new DdiError(
      'ERR_DDI_STORE_AMBIGUOUS',
      `images of ${product} lie on ${[found, ...others].map(({ path }) => path).join(', ')}: name the disk`,
    )
  return found
}

/** The products whose images lie on more than one of these disks. */
export function ambiguousProducts(stores: readonly FoundStore[]): readonly string[] {
  const disks = new Map<string, Set<string>>()
  for (const { path, images } of stores)
    for (const { product } of images) disks.set(product, (disks.get(product) ?? new Set()).add(path))
  return [...disks].flatMap(([product, paths]) => (paths.size > 1 ? [product] : []))
}
