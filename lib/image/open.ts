import { expand } from '../android/sparse.js'
import { extentSource } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { guardSource } from '../bytes/guard.js'
import { copyToMemory, type MemoryFile } from '../bytes/memory-file.js'
import type { Source } from '../bytes/source.js'
import { findByName, requireWhole } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { type Contents, readContents } from './contents.js'

/** An open image: its bytes, and the volumes that its table describes. Close it, or declare it with `await using`. */
export interface Image extends Contents, AsyncDisposable {
  /** For messages, and to name attachments after: the path, for an image that was opened by its path. */
  readonly name: string
  /** The file or block device that side files (`IMAGE.roothash`, `IMAGE.verity`, …) lie beside; null if it has none. */
  readonly path: string | null
  /** Keeps something open until the image is closed. */
  keepOpen(resource: AsyncDisposable): void
  close(): Promise<void>
}

/** Options of {@link openImage}. */
export interface OpenOptions {
  /** Looks for a GPT in every volume, not only in those whose type says that they hold one. Default: false. */
  readonly nested?: boolean
  /** Of an Android super partition: which slot's metadata to read, 0 for a. Default: 0. */
  readonly slot?: number
  /**
   * The further devices of an Android super partition by their names: paths, or sources of their bytes. Default: NAME.img or NAME
   * beside the image.
   */
  readonly devices?: Readonly<Record<string, string | Source>>
  /**
   * Of a path: reads the image from a copy in memory, made first; what is attached is the copy, what is written goes to it, and the file is
   * free. Default: false.
   */
  readonly inMemory?: boolean
}
export const openOptionNames: OptionNames<OpenOptions> = { nested: true, slot: true, devices: true, inMemory: true }

/** Options of {@link imageOn}. */
export interface ImageOnOptions extends OpenOptions {
  /** For messages, and to name attachments after. */
  readonly name: string
  /** The file that side files lie beside. Default: null, none are looked for. */
  readonly path?: string | null
}
const imageOnOptionNames: OptionNames<ImageOnOptions> = { ...openOptionNames, name: true, path: true }

/**
 * Opens a disk image or block device and reads its table. An Android sparse image is expanded as it is read. Nothing is
 * written, and no privileges are needed beyond reading it.
 * @param path of a regular file or block device
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_IMAGE_KIND, and as {@link imageOn}
 */
export async function openImage(path: string, options: OpenOptions = {}): Promise<Image> {
  checkOptions(options, openOptionNames, 'openImage')
  const { file, ...opened } = options.inMemory ? await copyToMemory(path) : await openedFile(path)
  try {
    const image = await imageOn(file, { ...options, name: path, path })
    image.keepOpen(opened)
    return image
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}

async function openedFile(path: string): Promise<MemoryFile> {
  const file = await openFile(path)
  return { file, [Symbol.asyncDispose]: () => file.close() }
}

/**
 * Reads the table of an image that any source holds: memory, a volume of a disk, … An Android sparse image is expanded as it is
 * read. Closing the image does not close the source.
 * @throws ERR_DDI_USAGE for an unknown option, ERR_DDI_IMAGE_EMPTY, ERR_DDI_SPARSE_FORMAT, ERR_DDI_SUPER_DEVICE, and for a broken table the `ERR_DDI_GPT_…` or
 *   `ERR_DDI_SUPER_…` code that says how
 */
export async function imageOn(given: Source, options: ImageOnOptions): Promise<Image> {
  checkOptions(options, imageOnOptionNames, 'imageOn')
  const { name, path = null, nested = false, slot = 0 } = options
  if (given.size === 0) throw new DdiError('ERR_DDI_IMAGE_EMPTY', `${name} is empty`)
  const resources: AsyncDisposable[] = []
  const close = async () => {
    for (const resource of resources.splice(0)) await resource[Symbol.asyncDispose]()
  }
  const keepOpen = (resource: AsyncDisposable) => void resources.push(resource)
  try {
    const { source, sparse } = await expand(guardSource(given))
    const contents = await readContents(source, { name, path, nested, slot, devices: options.devices ?? {}, keepOpen })
    const isSparse = sparse !== undefined || contents.isSparse
    return { name, path, ...contents, isSparse, keepOpen, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * The bytes of a volume of an image.
 * @param name the volume’s UUID, or a label that no other volume has
 * @throws ERR_DDI_NO_VOLUME, and the defect of a broken volume
 */
export function volumeSource({ source, volumes, name: image }: Image, name: string): Source {
  return extentSource(source, requireWhole(findByName(volumes, name, image)).extents)
}
