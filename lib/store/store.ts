import { openDisk } from '../attach/disk.js'
import { type DryRunOptions, dryRunNames } from '../attach/open-for-change.js'
import type { LinearExtent } from '../bytes/source.js'
import type { Disk } from '../disk/disk.js'
import { isSameVolume } from '../disk/table.js'
import { findByName, requireWhole, type Volume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { type AttributeChanges, marked, refuseLastGood } from './change.js'
import { imagesAmong, type StoreImage } from './image.js'
import { type Hold, type Retention, retention } from './retention.js'
import { imagesToRemove } from './room.js'
import { runningImage } from './running.js'
import { candidates } from './select.js'
import { afterRefusal, afterTry, type Mark } from './state.js'

/** A disk with images, open for changes: each is one write of its table, flushed. */
export interface Store extends AsyncDisposable {
  readonly disk: Disk
  /** In the order of the table. */
  readonly images: readonly StoreImage[]
  /** The UUID of the image that this machine runs, on whatever disk. */
  readonly running: string | undefined
  /** The image of a label or UUID. @throws ERR_DDI_NO_VOLUME */
  find(name: string): StoreImage
  /** Those of a product that the next boot may choose, in the order in which it tries them. */
  candidates(product: string): readonly StoreImage[]
  /** Takes one boot of a new image, before it is handed the machine. @returns the image as it is now */
  try(image: StoreImage): Promise<StoreImage>
  /** Says that an image was refused before it had the machine. */
  refuse(image: StoreImage): Promise<StoreImage>
  /** @throws ERR_DDI_STORE_LAST_GOOD unless forced */
  mark(image: StoreImage, mark: Mark, options?: ForceOptions): Promise<StoreImage>
  /** @throws ERR_DDI_BUSY if it runs or is attached, ERR_DDI_STORE_LAST_GOOD unless forced */
  remove(image: StoreImage, options?: ForceOptions): Promise<void>
  /** What may be removed to make room, and what may not. */
  retention(isProtected?: Protection): Promise<Retention<StoreImage>>
  /** Removes images until `size` bytes have room. @returns those removed @throws ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL */
  makeRoom(size: number, isProtected?: Protection): Promise<readonly StoreImage[]>
  /** Removes images of a product until at most `most` are left, or all that are left may not be removed. @returns those removed */
  trim(product: string, most: number, isProtected?: Protection): Promise<readonly StoreImage[]>
  close(): Promise<void>
}

/** Says which images are not removed either, whatever the specification would have removed. Default: none. */
export type Protection = (image: StoreImage) => boolean

/** Options of {@link Store.mark} and {@link Store.remove}. */
export interface ForceOptions {
  /** Even if the product is left without a good image. Default: false. */
  readonly force?: boolean
}
const forceNames: OptionNames<ForceOptions> = { force: true }

/** Options of {@link openStore}. */
export interface StoreOptions extends DryRunOptions {
  /** The UUID of the image that this machine runs. Default: what /run/ddi/booted says. */
  readonly running?: string | undefined
}
const storeOptionNames: OptionNames<StoreOptions> = { ...dryRunNames, running: true }

/**
 * Opens a disk or disk image as a store.
 * @throws as {@link openDisk}
 */
export async function openStore(path: string, options: StoreOptions = {}): Promise<Store> {
  checkOptions(options, storeOptionNames, 'openStore')
  const running = options.running ?? (await runningImage())
  return storeOn(await openDisk(path, pickOptions(options, dryRunNames)), running)
}

/** The store that an open disk is. @param running UUID of the image that this machine runs */
export function storeOn(disk: Disk, running?: string): Store {
  return new OpenStore(disk, running)
}

/** The image of a label or UUID. @param where the disk, for the error @throws ERR_DDI_NO_VOLUME */
function findImage(volumes: readonly Volume<LinearExtent>[], name: string, where: string): StoreImage {
  const volume = requireWhole(findByName(volumes, name, where))
  const found = imagesAmong(volumes).find((image) => image.volume === volume)
  if (found) return found
  throw new DdiError(
    'ERR_DDI_NO_VOLUME',
    `${name} of ${where} is a volume, and no image of a store: those are of the nested type, labelled PRODUCT_VERSION`,
  )
}

class OpenStore implements Store {
  constructor(
    readonly disk: Disk,
    readonly running: string | undefined,
  ) {}

  get images(): readonly StoreImage[] {
    return imagesAmong(this.disk.volumes)
  }

  find(name: string): StoreImage {
    return findImage(this.disk.volumes, name, this.disk.path)
  }

  candidates(product: string): readonly StoreImage[] {
    return candidates(this.images, product)
  }

  async try(image: StoreImage): Promise<StoreImage> {
    return await this.#become(image, afterTry)
  }

  async refuse(image: StoreImage): Promise<StoreImage> {
    return await this.#become(image, afterRefusal)
  }

  async mark(image: StoreImage, mark: Mark, options: ForceOptions = {}): Promise<StoreImage> {
    checkOptions(options, forceNames, 'mark')
    const { images } = this
    await this.#change(marked(images, this.#current(images, image), mark, options.force))
    return this.#current(this.images, image)
  }

  async remove(image: StoreImage, options: ForceOptions = {}): Promise<void> {
    checkOptions(options, forceNames, 'remove')
    const { images } = this
    const current = this.#current(images, image)
    if (current.uuid === this.running)
      throw new DdiError('ERR_DDI_BUSY', `${current.label} is the image that this machine runs`)
    if (!options.force) refuseLastGood(images, current)
    await this.disk.remove(current.volume)
  }

  async retention(isProtected: Protection = () => false): Promise<Retention<StoreImage>> {
    const { images } = this
    const held = new Map<StoreImage, Hold>()
    for (const image of images)
      if (image.uuid === this.running || (await this.disk.isUsed(image.volume))) held.set(image, 'in use')
      else if (isProtected(image)) held.set(image, 'protected')
    return retention(images, held)
  }

  async makeRoom(size: number, isProtected?: Protection): Promise<readonly StoreImage[]> {
    return await this.#removeAll(imagesToRemove(this.disk, await this.retention(isProtected), size))
  }

  async trim(product: string, most: number, isProtected?: Protection): Promise<readonly StoreImage[]> {
    const there = this.images.filter((image) => image.product === product).length
    const removable = (await this.retention(isProtected)).removable.filter((image) => image.product === product)
    return await this.#removeAll(removable.slice(0, Math.max(0, there - most)))
  }

  async close(): Promise<void> {
    await this.disk.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #removeAll(images: readonly StoreImage[]): Promise<readonly StoreImage[]> {
    if (images.length > 0) await this.disk.removeAll(images.map(({ volume }) => volume))
    return images
  }

  async #become(image: StoreImage, next: (attributes: bigint) => bigint): Promise<StoreImage> {
    const current = this.#current(this.images, image)
    const attributes = next(current.attributes)
    if (attributes !== current.attributes) await this.#change(new Map([[current, attributes]]))
    return this.#current(this.images, image)
  }

  async #change(changes: AttributeChanges<StoreImage>): Promise<void> {
    if (changes.size > 0)
      await this.disk.renameAll(new Map([...changes].map(([{ volume }, attributes]) => [volume, { attributes }])))
  }

  /** @throws ERR_DDI_NO_VOLUME for one that is gone */
  #current(images: readonly StoreImage[], { volume, label }: StoreImage): StoreImage {
    const found = images.find((image) => isSameVolume(image.volume, volume))
    if (!found) throw new DdiError('ERR_DDI_NO_VOLUME', `${this.disk.path} does not have the image ${label} any more`)
    return found
  }
}
