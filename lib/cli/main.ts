#!/usr/bin/env node
import { CommanderError } from 'commander'
import { DdiError } from '../errors.js'
import { exitStatus, statusOf } from './exit.js'
import { note } from './output.js'
import { program } from './program.js'

/** Runs a command line. @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(argv, { from: 'user' })
    // `with` has the exit status of its command.
    return typeof process.exitCode === 'number' ? process.exitCode : exitStatus.done
  } catch (error) {
    // Commander has said what is wrong by then, and help asked for is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.done : exitStatus.usage
    note(error instanceof DdiError ? `${error.message} (${error.code})` : ((error as Error).stack ?? String(error)))
    return statusOf(error)
  }
}

// Whoever reads us may stop reading (`| head`), which is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})
process.exitCode = await main(process.argv.slice(2))
