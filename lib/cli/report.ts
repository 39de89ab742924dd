import { inspect } from 'node:util'
import { DdiError, type ErrorCode, type ErrorFields, errorFieldNames } from '../errors.js'
import { hintFor } from './hints.js'
import { hasPrinted, note, noteError, printJson } from './output.js'

/** What the command line asked for that failed, as far as it could be read. */
export interface Asked {
  /** The long names of the options of its verb. */
  readonly options: readonly string[]
  /** The text of `--json`, whatever it is. */
  readonly json: string | undefined
}

/** Says what went wrong, in one place, whatever it is that was thrown. */
export function report(error: unknown, { options, json }: Asked): void {
  if (process.env['DDI_DEBUG']) noteError(inspect(error))
  const message = error instanceof Error ? error.message : String(error)
  const known = error instanceof DdiError ? error : undefined
  const hint = known && hintFor(known, options)
  noteError(known ? `${message} (${known.code})` : message)
  if (hint !== undefined) note(`hint: ${hint}`)
  reportJson({ ...known, message, ...(hint !== undefined && { hint }) }, json)
}

/** What JSON says of a failure; null: unknown. */
interface Failure extends ErrorFields {
  readonly code?: ErrorCode
  readonly message: string
  readonly hint?: string
}

/** Says in JSON what went wrong, where JSON is asked for, and nothing has been printed that it would spoil. */
export function reportJson(failure: Failure, json?: string): void {
  if ((json !== 'pretty' && json !== 'short') || hasPrinted()) return
  const { code = null, message, hint = null } = failure
  const fields = Object.fromEntries(errorFieldNames.map((name) => [name, failure[name] ?? null]))
  printJson({ error: { code, message, hint, ...fields } }, json)
}
