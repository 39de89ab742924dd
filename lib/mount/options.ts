import type { Designator } from '../gpt/dps-types.js'
import { type DissectOptions, dissectOptionNames } from '../image/dissect.js'
import { type OpenOptions, openOptionNames } from '../image/open.js'
import { type PlanOptions, planOptionNames } from '../image/plan.js'
import type { OptionNames } from '../options.js'
import { type Work, workNames } from '../work.js'
import type { OwnerMap } from './owners.js'
import type { Unlock } from './unlock.js'

/** Options of {@link mountImage} and {@link withTree}. */
export interface MountOptions extends OpenOptions, DissectOptions, Omit<PlanOptions, 'volumes'>, Work {
  /** Options of mount(8) for the volumes of designators: words separated by commas. */
  readonly mountOptions?: Readonly<Partial<Record<Designator, string>>>
  /** Where freed blocks are given back: on loop devices, on all devices, or nowhere. Default: loop. */
  readonly discard?: 'disabled' | 'loop' | 'all'
  /** Checks writable file systems first. Default: true. */
  readonly check?: boolean
  /** Lets writable file systems fill their volumes if the volume's flag says so. Default: true. */
  readonly grow?: boolean
  /** Writes go to memory, and are gone with the mount. Default: false. */
  readonly inMemoryOverlay?: boolean
  /** Shows files of owners from `inside` as those of owners from `outside`. */
  readonly owners?: OwnerMap
  /** Refuses what would be writable and executable at once. Default: false. */
  readonly writeXorExecute?: boolean
  /** Opens LUKS volumes. */
  readonly unlock?: Unlock
  /** Mounts only the volumes of these designators. Default: all that have a place in the tree. */
  readonly designators?: readonly Designator[]
}

const { volumes: _, ...rest } = planOptionNames
/** A mount is always of the volumes that this machine would use. */
export const mountPlanOptionNames = rest
export const mountOptionNames: OptionNames<MountOptions> = {
  ...openOptionNames,
  ...dissectOptionNames,
  ...mountPlanOptionNames,
  mountOptions: true,
  discard: true,
  check: true,
  grow: true,
  inMemoryOverlay: true,
  owners: true,
  writeXorExecute: true,
  unlock: true,
  designators: true,
  ...workNames,
}
