import { flag } from './verb.js'

/** Of verbs that change something: no question is asked then. */
export const dryRunOption = { dryRun: flag('--dry-run', 'say what would be done, or why not, and write nothing') }
