import { randomUUID } from 'node:crypto'
import { settledEpoch } from '../epoch.js'
import { DdiError } from '../errors.js'
import { machineArchitectures } from '../image/architecture.js'
import { checkOptions, type OptionNames } from '../options.js'
import { parseUuid } from '../uuid.js'
import { type Work, workNames } from '../work.js'
import type { Signer } from './sign.js'

export interface BuildOptions extends Work {
  /** The tree that files are copied from. Default: `/`. */
  readonly root?: string
  /** A UUID that all others are derived from. Default: a random one. */
  readonly seed?: string
  /** Size of the image in bytes, a multiple of the sector size. Default: as small as the definitions allow. */
  readonly size?: number
  /** 512, 1024, 2048 or 4096 bytes. Default: 512. */
  readonly sectorSize?: number
  /** The processor for partition types that name none. Default: this machine’s. */
  readonly architecture?: string
  /** Signs root hashes, for definitions with `Verity=signature`. */
  readonly signer?: Signer
  /** Seconds since 1970, for all times in the file systems. Default: SOURCE_DATE_EPOCH, else times as they are. */
  readonly epoch?: number
  /** Also writes a file for each partition with `SplitName=`. Default: false. */
  readonly split?: boolean
  /** Replaces existing files. Default: false. */
  readonly replace?: boolean
}

const buildOptionNames: OptionNames<BuildOptions> = {
  root: true,
  seed: true,
  size: true,
  sectorSize: true,
  architecture: true,
  signer: true,
  epoch: true,
  split: true,
  replace: true,
  ...workNames,
}

/** The options of a build, checked and settled. */
export interface BuildSettings extends Work {
  /** Path of the image. */
  readonly output: string
  readonly root: string
  readonly seed: string
  /** Undefined: as small as the definitions allow. */
  readonly size: number | undefined
  readonly sectorSize: number
  readonly architecture: string
  readonly signer: Signer | undefined
  /** Null: times as they are. */
  readonly epoch: number | null
  readonly split: boolean
  readonly replace: boolean
}

/** What the steps of a build share. */
export interface BuildContext extends BuildSettings {
  /**
   * How the paths of temporary files begin. They lie beside the image, not in a directory of their own: ext4 would place
   * that elsewhere on the disk, and its files with it.
   */
  readonly prefix: string
}

const sectorSizes: readonly number[] = [512, 1024, 2048, 4096]

/**
 * Checks the options of a build at its border, and fills in defaults.
 * @param output path of the image
 * @throws ERR_DDI_USAGE
 */
export function buildSettings(output: string, options: BuildOptions): BuildSettings {
  checkOptions(options, buildOptionNames, 'buildImage')
  const { root = '/', seed = randomUUID(), size, sectorSize = 512, signal, onProgress } = options
  const { split = false, replace = false } = options
  if (!sectorSizes.includes(sectorSize))
    throw usage(`invalid sector size ${sectorSize}: must be one of ${sectorSizes.join(', ')}`)
  if (size !== undefined && !(Number.isSafeInteger(size) && size > 0 && size % sectorSize === 0))
    throw usage(`invalid image size ${size}: must be a multiple of the sector size, ${sectorSize} bytes`)
  if (!parseUuid(seed)) throw usage(`invalid seed ${JSON.stringify(seed)}: must be a UUID`)
  return {
    output,
    root,
    seed,
    size,
    sectorSize,
    architecture: options.architecture ?? machineArchitectures()[0] ?? '',
    signer: options.signer,
    epoch: settledEpoch(options.epoch),
    split,
    replace,
    signal,
    onProgress,
  }
}

function usage(what: string): DdiError {
  return new DdiError('ERR_DDI_USAGE', what)
}

/** Work on a part of something: its progress is reported under the name of the part. */
export function workOn(part: string, { signal, onProgress }: Work): Work {
  return { signal, onProgress: onProgress && ((progress) => onProgress({ ...progress, part })) }
}
