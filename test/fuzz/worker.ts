// Runs the inputs of one target: TARGET SEED FIRST COUNT SECONDS SLOW JOURNAL [FILE]. The parent (supervise.ts) watches.
import { openSync, readFileSync, writeSync } from 'node:fs'
import { DdiError } from '../../lib/errors.js'
import { inputOf, loadTarget } from './target.js'

/** What it says to its parent; inputs are in base64. */
export type Message =
  | { readonly kind: 'finding'; readonly number: number; readonly input: string; readonly what: string }
  /** More memory than is allowed; whether by this input alone, a new process has to tell. */
  | { readonly kind: 'memory'; readonly number: number; readonly input: string; readonly bytes: number }
  | ({ readonly kind: 'progress' } & Progress)

export interface Progress {
  readonly inputs: number
  readonly accepted: number
  /** How long it took, without what it took to begin. */
  readonly seconds: number
  readonly codes: readonly string[]
  /** Of one input, in seconds of processors. */
  readonly slowest: number
  /** Above what the process has without inputs, in bytes. */
  readonly memory: number
}

const mostMemory = 200 * 1024 * 1024

const [name = '', seed, first, count, limit, slow, journalPath = '', file] = process.argv.slice(2)
// What the target starts is not under the sanitizers.
delete process.env['LD_PRELOAD']
const target = await loadTarget(name)
const mostSeconds = Number(slow)
const journal = openSync(journalPath, 'w')
const send = (message: Message) => process.send?.(message)
const input = (number: number) => (file === undefined ? inputOf(target, Number(seed), number) : readFileSync(file))
const highWater = () => process.resourceUsage().maxRSS * 1024

interface Outcome {
  readonly code?: string
  /** What was thrown and is no DdiError. */
  readonly wrong?: unknown
  /** Of processors. */
  readonly seconds: number
}

async function outcomeOf(bytes: Buffer): Promise<Outcome> {
  const before = process.cpuUsage()
  const seconds = () => {
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1e6
  }
  try {
    await target.run(bytes)
    return { seconds: seconds() }
  } catch (error) {
    if (error instanceof DdiError) return { code: error.code, seconds: seconds() }
    return { wrong: error ?? 'it throws undefined', seconds: seconds() }
  }
}

/** For whoever looks after this process has died. */
function note(number: number, bytes: Buffer): void {
  const head = Buffer.alloc(16)
  head.writeDoubleLE(number, 0)
  head.writeDoubleLE(bytes.length, 8)
  writeSync(journal, head, 0, 16, 0)
  writeSync(journal, bytes, 0, bytes.length, 16)
}

// What it loads at first use is not the fault of an input.
for (const start of target.starts.slice(0, 3)) await outcomeOf(Buffer.from(start))
const baseline = highWater()
/** What it has to do is not counted. */
const fixed = target.starts.length + (target.large?.length ?? 0)
let begun = Date.now()
const elapsed = () => (Date.now() - begun) / 1000
const codes = new Set<string>()
let [inputs, accepted, slowest] = [0, 0, 0]
const progress = () =>
  send({
    ...{ kind: 'progress', inputs, accepted, codes: [...codes] },
    ...{ seconds: elapsed(), slowest, memory: highWater() - baseline },
  })

let told = 0
for (let number = Number(first); inputs < Number(count) && elapsed() < Number(limit); number++) {
  const bytes = input(number)
  note(number, bytes)
  const found = (what: string) => send({ kind: 'finding', number, input: input(number).toString('base64'), what })
  const { code, wrong, seconds } = await outcomeOf(bytes)
  if (wrong !== undefined) found(wrong instanceof Error ? String(wrong.stack) : String(wrong))
  else if (code === undefined) accepted++
  else codes.add(code)
  // Garbage of earlier inputs, or a machine that is busy: it counts if it is so again.
  const took = seconds > mostSeconds ? Math.min(seconds, (await outcomeOf(input(number))).seconds) : seconds
  if (took > mostSeconds) found(`it takes ${took.toFixed(1)} s of processors`)
  slowest = Math.max(slowest, took)
  inputs++
  if (number < fixed) begun = Date.now()
  const more = highWater() - baseline
  if (more > mostMemory) {
    send({ kind: 'memory', number, input: input(number).toString('base64'), bytes: more })
    break
  }
  if (Date.now() - told > 500) {
    progress()
    told = Date.now()
  }
}
progress()
process.disconnect?.()
