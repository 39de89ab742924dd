import { join } from 'node:path'
import { DdiError } from '../errors.js'
import { type FoundStore, readDisks, readIfDisk } from '../store/disks.js'
import type { StoreImage } from '../store/image.js'
import type { BootContext } from './context.js'
import { loaderText } from './efi-variables.js'
import { lookFor } from './look-for.js'
import type { StoreParameters } from './store-parameters.js'

/** What a machine boots from. */
export interface BootStore extends Pick<StoreParameters, 'product' | 'label'> {
  /** Of the disk. */
  readonly path: string
  /** Of all products, in the order of the table. */
  readonly images: readonly StoreImage[]
}

/** How long the disk of a store may take to be found by its driver, in milliseconds: where none is, each boot waits for it. */
const longestWait = 10_000

/**
 * Finds the disk that this machine boots from, or that its first image is to come to: the one that the command line names, the one that
 * has images of the product, or else the one that the firmware booted from.
 * @param patience in ms
 * @returns undefined if there is none, which is said
 * @throws ERR_DDI_STORE_AMBIGUOUS if several disks are meant, ERR_DDI_NO_ROOT if there is none that could have the one image that is to boot
 */
export async function findBootStore(
  { root, log, signal }: Pick<BootContext, 'root' | 'log' | 'signal'>,
  { product, disk, label }: StoreParameters,
  patience = longestWait,
): Promise<BootStore | undefined> {
  const look = async () => only(await disksMeant(root, { product, disk }), product)
  const named = await lookFor(look, patience, signal)
  if (!named) {
    const missing =
      disk.by === 'product'
        ? `no disk has images of ${product}`
        : `no disk with a table is the one of ddi.store=${disk.by === 'uuid' ? disk.uuid : disk.path}`
    if (label !== null) throw new DdiError('ERR_DDI_NO_ROOT', `${missing}, so that ${label} cannot boot`)
    log.say(missing)
  }
  const found = named ?? (disk.by === 'product' ? await bootedDisk(root, product) : undefined)
  return found && { path: found.path, images: found.images, product, label }
}

async function disksMeant(
  root: string,
  { product, disk }: Pick<StoreParameters, 'product' | 'disk'>,
): Promise<readonly FoundStore[]> {
  switch (disk.by) {
    case 'path': {
      const found = await readIfDisk(join(root, disk.path))
      return found ? [found] : []
    }
    case 'uuid':
      return (await readDisks(root)).filter(({ uuid }) => uuid === disk.uuid)
    case 'product':
      return (await readDisks(root)).filter(({ images }) => images.some((image) => image.product === product))
  }
}

/** The disk with the EFI partition that the firmware booted from: https://systemd.io/BOOT_LOADER_INTERFACE */
async function bootedDisk(root: string, product: string): Promise<FoundStore | undefined> {
  const uuid = (await loaderText(root, 'LoaderDevicePartUUID'))?.toLowerCase()
  if (uuid === undefined) return undefined
  const disks = await readDisks(root)
  return only(
    disks.filter(({ volumes }) => volumes.some((one) => one.uuid === uuid)),
    product,
  )
}

/** @throws ERR_DDI_STORE_AMBIGUOUS */
function only(disks: readonly FoundStore[], product: string): FoundStore | undefined {
  if (disks.length > 1)
    throw new DdiError(
      'ERR_DDI_STORE_AMBIGUOUS',
      `images of ${product} could boot from ${disks.map(({ path }) => path).join(', ')}: ddi.store= on the kernel command line has to name one of them`,
    )
  return disks[0]
}
