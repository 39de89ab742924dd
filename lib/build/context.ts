import { randomUUID } from 'node:crypto'
import { settledEpoch } from '../epoch.js'
import { DdiError } from '../errors.js'
import { machineArchitectures } from '../image/architecture.js'
import type { OptionNames } from '../options.js'
import { parseUuid } from '../uuid.js'
import { type Work, workNames } from '../work.js'
import type { Signer } from './sign.js'

/** Which definitions count, by the names of their types. */
export interface PartitionChoice {
  /** Only these. */
  readonly include?: readonly string[]
  /** All but these; not with `include`. */
  readonly exclude?: readonly string[]
  /** These get space, but no partition yet. */
  readonly defer?: readonly string[]
  /** Nor do those with `Format=empty`. Default: false. */
  readonly deferEmpty?: boolean
  /** Nor do those with `FactoryReset=yes`. Default: false. */
  readonly deferFactoryReset?: boolean
}

export interface SharedOptions extends Work, PartitionChoice {
  /** The system that definitions are for: specifiers and paths are of it. Default: `/`. */
  readonly root?: string
  /** The tree that `CopyFiles=` copies from. Default: `root`. */
  readonly copySource?: string
  /** Paths of disk images or block devices whose partitions are copied as they are; they come before those of definitions. Default: none. */
  readonly copyFrom?: readonly string[]
  /** A UUID that all others are derived from. Default: a random one. */
  readonly seed?: string
  /**
   * Size of the image in bytes, a multiple of the sector size; a disk image that is there grows to it. Default: as small as the
   * definitions allow, or as it is.
   */
  readonly size?: number
  /** What sizes and places of new partitions are multiples of, in bytes: a power of two from 512 to 1 GiB. Default: 4096. */
  readonly grainSize?: number
  /** The processor for partition types that name none. Default: this machine’s. */
  readonly architecture?: string
  /** Signs root hashes, for definitions with `Verity=signature`. */
  readonly signer?: Signer
  /** Path of the key for definitions with `Encrypt=`. */
  readonly keyFile?: string
  /** Seconds since 1970, for all times in the file systems. Default: SOURCE_DATE_EPOCH, else times as they are. */
  readonly epoch?: number
  /** Also writes a file for each partition, unless its `SplitName=` is `-`. Default: false. */
  readonly split?: boolean
  /** Replaces existing files. Default: false. */
  readonly replace?: boolean
  /** Path in the tree of `CopyFiles=` that gets an fstab(5), by `MountPoint=`. Default: none is written. */
  readonly fstab?: string
  /** The same for crypttab(5), by `EncryptedVolume=`. */
  readonly crypttab?: string
  /** Copies what is in /proc, /sys, /dev, /tmp, /run and /var/tmp too. Default: false. */
  readonly keepVolatile?: boolean
  /** Lays out, and writes nothing. Default: false. */
  readonly dryRun?: boolean
}

/** Options of {@link buildImage}. */
export interface BuildOptions extends SharedOptions {
  /** 512, 1024, 2048 or 4096 bytes. Default: 512. */
  readonly sectorSize?: number
}

export const sharedOptionNames: OptionNames<SharedOptions> = {
  root: true,
  copySource: true,
  copyFrom: true,
  grainSize: true,
  seed: true,
  size: true,
  architecture: true,
  signer: true,
  keyFile: true,
  epoch: true,
  split: true,
  replace: true,
  fstab: true,
  crypttab: true,
  keepVolatile: true,
  dryRun: true,
  include: true,
  exclude: true,
  defer: true,
  deferEmpty: true,
  deferFactoryReset: true,
  ...workNames,
}

export const buildOptionNames: OptionNames<BuildOptions> = { ...sharedOptionNames, sectorSize: true }

/** The options of a build, checked and settled. */
export interface BuildSettings extends Work, PartitionChoice {
  /** Path of the image. */
  readonly output: string
  readonly root: string
  readonly copySource: string
  readonly copyFrom: readonly string[]
  readonly seed: string
  /** Undefined: as small as the definitions allow. */
  readonly size: number | undefined
  readonly sectorSize: number
  readonly grainSize: number
  readonly architecture: string
  readonly signer: Signer | undefined
  readonly keyFile: string | undefined
  /** Null: times as they are. */
  readonly epoch: number | null
  readonly split: boolean
  readonly replace: boolean
  readonly fstab: string | undefined
  readonly crypttab: string | undefined
  readonly keepVolatile: boolean
  readonly dryRun: boolean
}

/** What the steps of a build share. */
export interface BuildContext extends BuildSettings {
  /**
   * How the paths of temporary files begin. They lie beside the image, not in a directory of their own: ext4 would place
   * that elsewhere on the disk, and its files with it.
   */
  readonly prefix: string
  /** Files that the build added to the tree that is copied: a build that fails takes them away again. */
  readonly added: Set<string>
  /** Where the file systems of the image belong, besides the root. */
  readonly covered: readonly string[]
}

const sectorSizes: readonly number[] = [512, 1024, 2048, 4096]
const largestGrain = 1024 ** 3

/**
 * Checks the options of a build at its border, and fills in defaults.
 * @param output path of the image
 * @throws ERR_DDI_USAGE
 */
export function buildSettings(output: string, options: BuildOptions): BuildSettings {
  const { root = '/', seed = randomUUID(), size, sectorSize = 512, grainSize = 4096, signal, onProgress } = options
  const { include, exclude, defer, deferEmpty, deferFactoryReset } = options
  if (!sectorSizes.includes(sectorSize))
    throw usage(`invalid sector size ${sectorSize}: must be one of ${sectorSizes.join(', ')}`)
  if (size !== undefined && !(Number.isSafeInteger(size) && size > 0 && size % sectorSize === 0))
    throw usage(`invalid image size ${size}: must be a multiple of the sector size, ${sectorSize} bytes`)
  if (!(Number.isInteger(Math.log2(grainSize)) && grainSize >= 512 && grainSize <= largestGrain))
    throw usage(`invalid grain size ${grainSize}: must be a power of two from 512 to ${largestGrain}`)
  if (!parseUuid(seed)) throw usage(`invalid seed ${JSON.stringify(seed)}: must be a UUID`)
  if (include && exclude) throw usage('partitions are included or excluded, not both')
  return {
    output,
    root,
    copySource: options.copySource ?? root,
    copyFrom: options.copyFrom ?? [],
    seed,
    size,
    sectorSize,
    grainSize,
    architecture: options.architecture ?? machineArchitectures()[0] ?? '',
    signer: options.signer,
    keyFile: options.keyFile,
    epoch: settledEpoch(options.epoch),
    split: options.split ?? false,
    replace: options.replace ?? false,
    fstab: options.fstab,
    crypttab: options.crypttab,
    keepVolatile: options.keepVolatile ?? false,
    dryRun: options.dryRun ?? false,
    signal,
    onProgress,
    ...(include && { include }),
    ...(exclude && { exclude }),
    ...(defer && { defer }),
    ...{ deferEmpty: deferEmpty ?? false, deferFactoryReset: deferFactoryReset ?? false },
  }
}

function usage(what: string): DdiError {
  return new DdiError('ERR_DDI_USAGE', what)
}
