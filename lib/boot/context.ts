import type { BootLog } from './boot-log.js'
import type { BootParameters } from './parameters.js'

/** What every stage of a boot gets. */
export interface BootContext {
  /** The root directory: `/`, but in tests. */
  readonly root: string
  readonly parameters: BootParameters
  readonly log: BootLog
  readonly signal?: AbortSignal | undefined
}
