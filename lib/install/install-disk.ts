import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { blankDisk, type FirstVolume, initDisk } from '../attach/init-disk.js'
import { makeFileSystem } from '../build/file-system.js'
import { type FileSource, openFile } from '../bytes/file.js'
import { openScratchDirectory } from '../bytes/scratch.js'
import type { VolumeHead } from '../disk/chain.js'
import type { Disk } from '../disk/disk.js'
import { requireWhole, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { type Designator, partitionTypeUuid } from '../gpt/dps-types.js'
import { partitionAttributes } from '../gpt/table.js'
import { machineArchitectures } from '../image/architecture.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import {
  type Installed,
  type InstallOptions,
  installImage,
  installOptionNames,
  refuseImages,
} from '../store/install.js'
import { storeOn } from '../store/store.js'
import { type BootEntry, makeBootEntry } from './boot-entry.js'
import { makeEfiFileSystem, readUki, type UkiToInstall, usualSize } from './efi-partition.js'

/** A volume that outlives all images. */
export interface DataVolume {
  readonly designator: (typeof dataDesignators)[number]
  /** In bytes. */
  readonly size: number
}
/** What the volumes for data of a new disk may be for. */
export const dataDesignators = ['home', 'srv', 'var'] as const satisfies readonly Designator[]

/** Options of {@link installDisk}. */
export interface InstallDiskOptions extends Omit<InstallOptions, 'product' | 'version' | 'protectVersions'> {
  /** What the firmware starts: the path of a UKI. */
  readonly uki: string
  /** Addresses of the first images, named `PRODUCT_VERSION.raw…`. Default: none */
  readonly images?: readonly (string | URL)[]
  /** How many partitions the table can name, 128 to 4096. Default: 128. */
  readonly entries?: number
  /** Of the EFI partition, in bytes. Default: three times the UKI, 64 MiB at least. */
  readonly espSize?: number
  /** Made with a file system each, which grows to its volume when a system mounts it first. Default: none. */
  readonly volumes?: readonly DataVolume[]
  /** Overwrites what the disk holds. Default: false. */
  readonly force?: boolean
  /** Refuses what would be refused, and writes nothing. Default: false. */
  readonly dryRun?: boolean
}
const { product: _, version: __, protectVersions: ___, ...imageOptionNames } = installOptionNames
const installDiskOptionNames: OptionNames<InstallDiskOptions> = {
  ...imageOptionNames,
  ...{ uki: true, images: true, entries: true, espSize: true, volumes: true, force: true, dryRun: true },
}

/** The disk of a machine as it was made, or as it would be. */
export interface InstalledDisk {
  readonly path: string
  /** Of its table. */
  readonly uuid: string
  readonly uki: UkiToInstall
  readonly volumes: readonly WholeVolume[]
  readonly images: readonly Installed[]
  /** Null if nothing was written. */
  readonly bootEntry: BootEntry | null
}

/**
 * Makes a machine's disk of a blank one: a table, an EFI partition with a UKI, volumes for data, and a store with first images in the
 * rest. The table is written when the EFI partition and the volumes are whole; if an image is refused, the disk is blank again.
 * @param path disk image or block device
 * @throws ERR_DDI_EXISTS if the disk is not blank, unless forced; ERR_DDI_BUSY, ERR_DDI_PE_FORMAT, ERR_DDI_ARCHITECTURE,
 *   ERR_DDI_NO_SPACE, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, and as `initDisk` and `installImage`
 */
export async function installDisk(path: string, options: InstallDiskOptions): Promise<InstalledDisk> {
  checkOptions(options, installDiskOptionNames, 'installDisk')
  const { images = [], entries, force, dryRun = false, signal, onProgress } = options
  const uki = await readUki(options.uki)
  await refuseImages(images, path, options)
  await using scratch = await openScratchDirectory(join(tmpdir(), 'ddi-install'))
  await using made = await makeVolumes(scratch.path, uki, options)
  const disk = {
    ...{ uuid: randomUUID(), volumes: made.volumes, signal, onProgress },
    ...(entries !== undefined && { entries }),
    ...(force !== undefined && { force }),
  }
  const result = { path, uuid: disk.uuid, uki }
  const opened = await initDisk(path, { ...disk, dryRun })
  const volumes = opened.volumes.map(requireWhole)
  if (dryRun) {
    await opened.close()
    return { ...result, volumes, images: [], bootEntry: null }
  }
  const installed = await installAll(opened, disk.uuid, images, pickOptions(options, imageOptionNames))
  const name = installed[0]?.image.product ?? 'Linux'
  return {
    ...result,
    volumes,
    images: installed,
    bootEntry: await makeBootEntry(path, name, uki.removablePath, signal),
  }
}

/** Installs images, and closes the disk; if one is refused, nothing is left of the others. @param uuid of the table of the disk */
async function installAll(
  disk: Disk,
  uuid: string,
  images: readonly (string | URL)[],
  options: Omit<InstallOptions, 'product' | 'version' | 'protectVersions'>,
): Promise<readonly Installed[]> {
  const installed: Installed[] = []
  try {
    const store = storeOn(disk)
    for (const image of images) installed.push(await installImage(store, image, options))
    await disk.close()
    return installed
  } catch (error) {
    await disk.close()
    await blankDisk(disk.path, uuid)
    throw error
  }
}

/** What the disk begins with, in files that are open until it is disposed of. */
interface MadeVolumes extends AsyncDisposable {
  readonly volumes: readonly FirstVolume[]
}

async function makeVolumes(
  directory: string,
  uki: UkiToInstall,
  { espSize = usualSize(uki.size), volumes = [], signal }: InstallDiskOptions,
): Promise<MadeVolumes> {
  refuseTwice(volumes)
  const made: { readonly head: VolumeHead; readonly size: number; readonly from: FileSource }[] = []
  const dispose = async () => {
    for (const { from } of made) await from.close()
  }
  const add = async (
    designator: Designator,
    size: number,
    attributes: bigint,
    make: (uuid: string) => Promise<string>,
  ) => {
    const head = { typeUuid: typeOf(designator), uuid: randomUUID(), label: designator, attributes }
    made.push({ head, size, from: await openFile(await make(head.uuid)) })
  }
  try {
    await add('esp', espSize, 0n, (uuid) => makeEfiFileSystem(directory, uki, { size: espSize, uuid, signal }))
    for (const { designator, size } of volumes)
      await add(designator, size, partitionAttributes.growFileSystem, async (uuid) => {
        const path = join(directory, designator)
        const identity = { label: designator, uuid, epoch: null }
        await makeFileSystem({ path, format: 'ext4', tree: null, ...identity }, Math.min(size, firstSize), signal)
        return path
      })
  } catch (error) {
    await dispose()
    throw error
  }
  return { volumes: made, [Symbol.asyncDispose]: dispose }
}

/** How large a file system is before it grows to its volume, in bytes: what nobody has used yet need not be written. */
const firstSize = 64 * 2 ** 20

function typeOf(designator: Designator): string {
  return partitionTypeUuid(designator, machineArchitectures()[0] ?? '')!
}

/** @throws ERR_DDI_USAGE */
function refuseTwice(volumes: readonly DataVolume[]): void {
  const twice = volumes.find(({ designator }, n) => volumes.findIndex((one) => one.designator === designator) < n)
  if (twice) throw new DdiError('ERR_DDI_USAGE', `a disk has one volume ${twice.designator}, and two are asked for`)
}
