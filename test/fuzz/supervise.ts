// Runs a target in processes that may hang, crash or eat the machine.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { packageRoot, run, temporaryFolder } from '../support/run.js'
import type { Message, Progress } from './worker.js'

export interface Limits {
  readonly seed: number
  /** Per target. */
  readonly seconds: number
  /** Inputs per target. */
  readonly count: number
  /** Whether the addon is the one of `npm run build -- --sanitize`. */
  readonly sanitized: boolean
  /** The most of one input, of processors. */
  readonly slow: number
  /** After how many of them an input is given up: other than its processor time they count while the machine is busy. */
  readonly patience: number
  /** Where inputs that show something go. */
  readonly findings: string
}

export interface Finding {
  readonly what: string
  /** Where the input is. */
  readonly path: string
}

export interface Report extends Progress {
  readonly target: string
  readonly findings: readonly Finding[]
}

const mostFindings = 10
const workerPath = fileURLToPath(new URL('./worker.js', import.meta.url))

/** What a process came to. */
interface Ended {
  readonly progress: Progress
  /** The last input that it began with. */
  readonly last: { readonly number: number; readonly input: Buffer }
  readonly messages: readonly Message[]
  /** Why it did not end by itself. */
  readonly death: string | undefined
}

const nothing: Progress = { inputs: 0, accepted: 0, seconds: 0, codes: [], slowest: 0, memory: 0 }

/** Runs inputs of a target from its first on, until the time or the count is up. */
export async function supervise(name: string, limits: Limits): Promise<Report> {
  const found = new Map<string, Finding>()
  const keep = (number: number, what: string, input: Buffer) => {
    // The same place again is the same finding.
    const key = what.split('\n').slice(0, 2).join('\n').replace(/\d+/g, '#')
    if (!found.has(key))
      found.set(key, save(`${name.replace(/.*\//, '')}-${limits.seed}-${number}`, what, input, limits))
  }
  let total = nothing
  for (let first = 0; total.inputs < limits.count && total.seconds < limits.seconds && found.size < mostFindings; ) {
    const left = { count: limits.count - total.inputs, seconds: limits.seconds - total.seconds }
    const ended = await inProcess(name, limits, { first, ...left })
    total = sum(total, ended.progress)
    for (const message of ended.messages) {
      if (message.kind === 'finding') keep(message.number, message.what, Buffer.from(message.input, 'base64'))
      if (message.kind === 'memory') {
        const alone = await inProcess(name, limits, { first: message.number, count: 1, seconds: 60 })
        const again = alone.messages.find((one) => one.kind === 'memory')
        const what = again && `it takes ${Math.round(again.bytes / 1024 / 1024)} MiB of memory`
        if (what) keep(message.number, what, Buffer.from(message.input, 'base64'))
      }
    }
    if (ended.death !== undefined) keep(ended.last.number, ended.death, ended.last.input)
    first = ended.last.number + 1
  }
  return { target: name, ...total, findings: [...found.values()] }
}

function sum(a: Progress, b: Progress): Progress {
  return {
    inputs: a.inputs + b.inputs,
    accepted: a.accepted + b.accepted,
    seconds: a.seconds + b.seconds,
    codes: [...new Set([...a.codes, ...b.codes])],
    slowest: Math.max(a.slowest, b.slowest),
    memory: Math.max(a.memory, b.memory),
  }
}

function save(name: string, what: string, input: Buffer, { findings }: Limits): Finding {
  mkdirSync(findings, { recursive: true })
  const path = join(findings, name)
  writeFileSync(path, input)
  writeFileSync(`${path}.txt`, `${what}\n`)
  return { what, path }
}

interface Inputs {
  readonly first: number
  readonly count: number
  readonly seconds: number
  /** An input that is in a file. */
  readonly file?: string
}

/** Runs inputs in a process of their own. */
export async function inProcess(
  name: string,
  { seed, sanitized, slow, patience }: Limits,
  { first, count, seconds, file }: Inputs,
): Promise<Ended> {
  using folder = temporaryFolder()
  const journal = join(folder.path, 'journal')
  const child = fork(
    workerPath,
    [name, ...[seed, first, count, seconds, slow].map(String), journal, ...(file ? [file] : [])],
    {
      execArgv: ['--max-old-space-size=384', '--max-semi-space-size=4'],
      env: { ...process.env, TMPDIR: folder.path, ...(sanitized && sanitizers()) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    },
  )
  let said = ''
  child.stderr?.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString('latin1')).slice(-8000)
  })
  const messages: Message[] = []
  let progress = nothing
  child.on('message', (message: Message) => {
    if (message.kind === 'progress') progress = message
    else messages.push(message)
  })
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const last = () => lastInput(journal, first)
  const silent = await silence(child, ended, last, patience)
  const [status, signal] = await ended
  const death = silent
    ? `it is not done after ${patience} s`
    : status === 0
      ? undefined
      : `the process ended with ${signal ?? `status ${status}`}\n${said}`
  return { progress, last: last(), messages, death }
}

/** Kills a process that stays with one input, however busy the machine is with others. @returns whether it did */
async function silence(
  child: ChildProcess,
  ended: Promise<unknown>,
  last: () => Ended['last'],
  patience: number,
): Promise<boolean> {
  const spent = () => Date.now() - starved(child.pid)
  let [number, since] = [-1, spent()]
  const gone = ended.then(() => true)
  while (!(await Promise.race([gone, sleep(250, false)]))) {
    if (last().number !== number) [number, since] = [last().number, spent()]
    else if (spent() - since > patience * 1000) return child.kill('SIGKILL')
  }
  return false
}

/** How long a process was ready to run and had no processor, in milliseconds: Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat". */
function starved(pid: number | undefined): number {
  const path = `/proc/${pid}/schedstat`
  return existsSync(path) ? Number(readFileSync(path, 'utf8').split(' ')[1]) / 1e6 : 0
}

/** What a process noted before it died. */
function lastInput(journal: string, first: number): Ended['last'] {
  const bytes = existsSync(journal) ? readFileSync(journal) : Buffer.alloc(0)
  if (bytes.length < 16) return { number: first, input: Buffer.alloc(0) }
  return { number: bytes.readDoubleLE(0), input: bytes.subarray(16, 16 + bytes.readDoubleLE(8)) }
}

/** What makes a process use the addon that was built with sanitizers. */
function sanitizers(): Readonly<Record<string, string>> {
  return {
    DDI_ADDON: join(packageRoot, 'build/Debug/ddi.node'),
    LD_PRELOAD: run('g++', '-print-file-name=libasan.so').trim(),
    ASAN_OPTIONS: 'detect_leaks=0:quarantine_size_mb=8:allocator_may_return_null=1:abort_on_error=1',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  }
}
