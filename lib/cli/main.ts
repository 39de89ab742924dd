#!/usr/bin/env node
import { CommanderError } from 'commander'
import { DdiError } from '../errors.js'
import { exitStatus, statusOf } from './exit.js'
import { hintFor } from './hints.js'
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
    report(error, running?.options.map(({ flags }) => longName(flags)) ?? [])
    return statusOf(error)
  }
}

/** @param options the long names of the options of the verb that failed */
function report(error: unknown, options: readonly string[]): void {
  if (!(error instanceof DdiError)) {
    note((error as Error).stack ?? String(error))
    return
  }
  note(`${error.message} (${error.code})`)
  const hint = hintFor(error, options)
  if (hint !== undefined) note(`hint: ${hint}`)
}

// A reader may stop reading (`| head`), which is not a failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})
process.exitCode = await main(process.argv.slice(2))
