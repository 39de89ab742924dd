import { randomUUID } from 'node:crypto'
import type { VolumeHead } from '../disk/chain.js'
import type { VolumeFlags } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { designators, partitionTypeUuid } from '../gpt/dps-types.js'
import { partitionAttributes } from '../gpt/table.js'
import { checkOptions, type OptionNames } from '../options.js'
import { machineArchitectures, refuseUnknownArchitectures } from './architecture.js'

/** What a new volume is to be; all but its type has a default. */
export interface NewVolume extends Partial<VolumeFlags> {
  /** `root`, `usr`, `home`, … as the Discoverable Partitions Specification names them, or a partition type UUID. */
  readonly type: string
  /** Processor of the type, where it has one: `x86-64`, `arm64`, … Default: that of this machine. */
  readonly architecture?: string
  /** At most 36 UTF-16 code units. Default: none. */
  readonly label?: string
  /** Default: a random one. */
  readonly uuid?: string
}

const newVolumeNames: OptionNames<NewVolume> = {
  type: true,
  architecture: true,
  label: true,
  uuid: true,
  readOnly: true,
  noAuto: true,
  growFileSystem: true,
}

/**
 * The head of a volume that `Disk.create` makes.
 * @param volume what it is for, and what it is called: `{ type: 'home', label: 'home' }`
 * @throws ERR_DDI_USAGE for a type that there is not
 */
export function makeVolumeHead(volume: NewVolume): VolumeHead {
  checkOptions(volume, newVolumeNames, 'makeVolumeHead')
  const { type, architecture, label = '', uuid = randomUUID() } = volume
  const flags = (['readOnly', 'noAuto', 'growFileSystem'] as const).filter((name) => volume[name])
  const attributes = flags.reduce((bits, name) => bits | partitionAttributes[name], 0n)
  return { typeUuid: requireTypeUuid(type, architecture), uuid, label, attributes }
}

/**
 * The UUID of a partition type.
 * @param type its name or its UUID
 * @param architecture of a type that each processor has one of
 * @throws ERR_DDI_USAGE
 */
export function requireTypeUuid(type: string, architecture: string = machineArchitectures()[0] ?? ''): string {
  refuseUnknownArchitectures([architecture])
  const uuid = partitionTypeUuid(type, architecture)
  if (uuid) return uuid
  throw new DdiError(
    'ERR_DDI_USAGE',
    `no partition type ${JSON.stringify(type)} for ${architecture}: one of ${designators.join(', ')}, or a UUID`,
  )
}
