import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { printable } from '../text.js'
import type { Progress } from '../work.js'

/** What a boot says, one line a step: on the console, and in /run/ddi/boot.log for the system that is booted. */
export interface BootLog {
  say(text: string): void
  /** How far a download has come: a line now and then, as a serial console takes few. */
  progress(progress: Progress): void
}

/** Between two lines about the progress of one part, in seconds. */
const pace = 2

/** @param root the directory that has dev/console and run/ */
export function openBootLog(root: string): BootLog {
  const console = join(root, 'dev/console')
  const file = join(root, 'run/ddi/boot.log')
  const said = new Map<string, { readonly time: number; readonly done: number }>()
  const say = (text: string) => {
    const line = `[${secondsSinceStart().toFixed(3).padStart(9)}] ddi: ${printable(text)}\n`
    writeIfPossible(console, line)
    writeIfPossible(file, line)
  }
  return {
    say,
    progress({ done, total, part = '' }) {
      const now = secondsSinceStart()
      const before = said.get(part)
      if (before && now - before.time < pace && done !== total) return
      said.set(part, { time: now, done })
      if (before) say(describe({ done, total, part }, (done - before.done) / Math.max(now - before.time, 0.001)))
    },
  }
}

/** The clock of the kernel's own messages. */
function secondsSinceStart(): number {
  return Number(process.hrtime.bigint()) / 1e9
}

function describe({ done, total, part }: Progress, rate: number): string {
  const MiB = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
  const amount = total === null ? `${MiB(done)} MiB` : `${MiB(done)} of ${MiB(total)} MiB, ${percent(done, total)} %`
  return `${part}: ${amount}, ${MiB(rate)} MiB/s`
}

function percent(done: number, total: number): number {
  return total === 0 ? 100 : Math.floor((done / total) * 100)
}

/** A machine without a console, or whose memory is full, boots all the same. */
function writeIfPossible(path: string, line: string): void {
  try {
    if (path.endsWith('.log')) mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    appendFileSync(path, line)
  } catch {}
}
