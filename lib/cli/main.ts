#!/usr/bin/env node
import { inspect } from 'node:util'
import { CommanderError } from 'commander'
import { DdiError } from '../errors.js'
import { exitStatus, statusOf } from './exit.js'
import { hintFor } from './hints.js'
import { endWhenInterrupted, reportInterrupt } from './interrupt.js'
import { note } from './output.js'
import { program } from './program.js'
import { longName } from './verb.js'
import { type IndexedVerb, loadVerb, readIndex } from './verb-index.js'

/** Runs a command line. @returns the exit status */
async function main(argv: readonly string[]): Promise<number> {
  let running: IndexedVerb | undefined
  const ddi = program(readIndex(), async (verb, given) => {
    running = verb
    await (await loadVerb(verb.name)).run(given)
  })
  try {
    await ddi.parseAsync(argv, { from: 'user' })
    // `with` has the exit status of its command.
    return typeof process.exitCode === 'number' ? process.exitCode : exitStatus.done
  } catch (error) {
    // Commander has printed what is wrong by then, and requested help is not an error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.done : exitStatus.usage
    const interrupted = reportInterrupt()
    if (interrupted !== undefined) return interrupted
    if (output && (error === output.error || (error as Error).cause === output.error)) return output.status
    report(error, running?.options.map(({ flags }) => longName(flags)) ?? [])
    return statusOf(error)
  }
}

/**
 * Says what went wrong, in one place, whatever it is that was thrown.
 * @param options the long names of the options of the verb that failed
 */
function report(error: unknown, options: readonly string[] = []): void {
  if (process.env['DDI_DEBUG']) note(inspect(error))
  if (!(error instanceof DdiError)) {
    note(error instanceof Error ? error.message : String(error))
    return
  }
  note(`${error.message} (${error.code})`)
  const hint = hintFor(error, options)
  if (hint !== undefined) note(`hint: ${hint}`)
}

/** How standard output broke: that has been told, and is not told again by what it broke. */
let output: { readonly error: Error; readonly status: number } | undefined

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader may stop reading (`| head`), and an interrupt may end what is written: that is not a failure of ours.
  const isEnd = ['EPIPE', 'ABORT_ERR'].includes(error.code ?? '')
  if (!isEnd && !output) note(`cannot write to standard output: ${error.message}`)
  output ??= { error, status: isEnd ? exitStatus.done : exitStatus.system }
  process.exitCode ||= output.status
})
// Then nobody can be told anything.
process.stderr.on('error', () => {})
process.on('uncaughtException', (error) => {
  report(error)
  process.exit(statusOf(error))
})
endWhenInterrupted()
const status = await main(process.argv.slice(2))
process.exitCode = status || (output?.status ?? status)
