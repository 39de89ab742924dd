import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Console, readConsole } from './console.js'

/** A machine that runs. */
export interface Machine extends AsyncDisposable {
  readonly console: Console
  /** Types on its console. */
  type(text: string): void
  /** Until it is off; a machine that is not after so many seconds fails the test with all that it said. */
  off(seconds: number): Promise<Console>
}

/** Starts a program that is a machine, its console on standard output. */
export function switchOn([command, ...words]: readonly [string, ...string[]]): Machine {
  const child = spawn(command, words, { stdio: ['pipe', 'pipe', 'pipe'] })
  // One that is off hears nothing.
  child.stdin.on('error', () => {})
  const console = readConsole(child.stdout)
  const complaints = readConsole(child.stderr)
  const closed = once(child, 'close')
  return {
    console,
    type: (text) => void child.stdin.write(text),
    async off(seconds) {
      const late = new Promise<never>((_, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`the machine is not off after ${seconds} s:\n${console.text}\n${complaints.text}`)),
          seconds * 1000,
        )
        void closed.finally(() => clearTimeout(timer))
      })
      await Promise.race([closed, late]).finally(() => pullThePlug(child))
      return console
    },
    async [Symbol.asyncDispose]() {
      pullThePlug(child)
      await closed
    },
  }
}

function pullThePlug(child: ChildProcess): void {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
}
