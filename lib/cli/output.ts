import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { printable, printableJson } from '../text.js'
import { throwIfAborted, type Work } from '../work.js'

let printed = false

/** Tells whether anything was written to stdout. */
export function hasPrinted(): boolean {
  return printed
}

/** Writes data to stdout. */
export function print(text: string): void {
  printed = true
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** Writes what is not data to stderr. */
export function note(text: string): void {
  process.stderr.write(`ddi-attach: ${printable(text)}\n`)
}

export function printJson(value: unknown, mode: 'pretty' | 'short'): void {
  print(printableJson(value, mode === 'pretty' ? 2 : undefined))
}

/**
 * Writes a list to stdout as it comes, no faster than it is read: however long it is, little of it is in memory.
 * @param line of a value, where no JSON is asked for
 * @throws ERR_DDI_ABORTED, and what `values` throws
 */
export async function printList<Value>(
  values: AsyncIterable<Value>,
  mode: 'off' | 'pretty' | 'short',
  line: (value: Value) => string,
  { signal }: Work,
): Promise<void> {
  printed = true
  const text = mode === 'off' ? linesOf(values, line) : jsonArray(values, mode)
  try {
    await pipeline(Readable.from(text), process.stdout, { end: false, ...(signal && { signal }) })
  } catch (error) {
    throwIfAborted(signal)
    throw error
  }
}

async function* linesOf<Value>(values: AsyncIterable<Value>, line: (value: Value) => string): AsyncGenerator<string> {
  for await (const value of values) yield `${line(value)}\n`
}

/** The text of {@link printJson}, in pieces. */
async function* jsonArray(values: AsyncIterable<unknown>, mode: 'pretty' | 'short'): AsyncGenerator<string> {
  const [indent, lineEnd] = mode === 'pretty' ? ([2, '\n'] as const) : ([undefined, ''] as const)
  let before = '['
  for await (const value of values) {
    // An array of one, without its brackets.
    yield before + printableJson([value], indent).slice(1, -1 - lineEnd.length)
    before = ','
  }
  yield before === '[' ? '[]\n' : `${lineEnd}]\n`
}

/** 1536 is `1.5K`: as lsblk writes sizes, in powers of 1024. */
export function formatSize(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T', 'P']
  let value = bytes
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)}${units[unit]}`
}
