import { join } from 'node:path'
import { DdiError } from '../errors.js'
import { type FoundStore, readDisks, readIfDisk } from '../store/disks.js'
import type { BootContext } from './context.js'
import { loaderText } from './efi-variables.js'
import { lookFor } from './look-for.js'
import type { StoreParameters } from './store-parameters.js'

/** How long the disk of a store may take to be found by its driver, in milliseconds: where none is, each boot waits for it. */
const longestWait = 10_000

/**
 * Finds the disk that this machine boots from, or that its first image is to come to: the one that the command line names, the one that
 * has images of the product, or else the one that the firmware booted from.
 * @param patience in ms
 * @returns undefined if there is none, which is said
 * @throws ERR_DDI_STORE_AMBIGUOUS if several disks are meant
 */
export async function findBootStore(
  { root, log, signal }: Pick<BootContext, 'root' | 'log' | 'signal'>,
  { product, disk }: Pick<StoreParameters, 'product' | 'disk'>,
  patience = longestWait,
): Promise<FoundStore | undefined> {
  const look = async () => only(await disksMeant(root, { product, disk }), product)
  const found = await lookFor(look, patience, signal)
  if (found) return found
  if (disk.by !== 'product') {
    log.say(`there is no disk with a table that ddi.store=${disk.by === 'uuid' ? disk.uuid : disk.path} names`)
    return undefined
  }
  log.say(`no disk has images of ${product}`)
  return await bootedDisk(root, product)
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
