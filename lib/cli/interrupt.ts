import { constants } from 'node:os'
import { noteError } from './output.js'
import { reportJson } from './report.js'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A signal that aborts on SIGINT, SIGTERM or SIGHUP, so that what was begun is undone before the process ends. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController()
  for (const name of signals) process.once(name, () => controller.abort(new Error(name)))
  return controller.signal
}

let interruptedBy: (typeof signals)[number] | undefined

/**
 * Ends the process at SIGINT, SIGTERM or SIGHUP, unless what runs has something to undo; a second one ends it in any case.
 * @param json what `--json` is by then
 */
export function endWhenInterrupted(json: () => string | undefined): void {
  for (const name of signals)
    process.on(name, () => {
      interruptedBy ??= name
      if (process.listenerCount(name) > 1) return
      process.exit(reportInterrupt(json()))
    })
}

/**
 * Says that a signal ended the work.
 * @param json as `--json` has it
 * @returns the exit status, as shells give it; undefined if none came
 */
export function reportInterrupt(json: string | undefined): number | undefined {
  if (interruptedBy === undefined) return undefined
  noteError('interrupted')
  reportJson({ code: 'ERR_DDI_ABORTED', message: 'interrupted' }, json)
  return 128 + constants.signals[interruptedBy]
}
