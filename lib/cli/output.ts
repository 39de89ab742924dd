import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { DdiError } from '../errors.js'
import { printable, printableJson } from '../text.js'
import { throwIfAborted, type Work } from '../work.js'

let printed = false
/** Nothing but data and errors is written. */
let quiet = false

export function beQuiet(): void {
  quiet = true
}

export function isQuiet(): boolean {
  return quiet
}

/** Tells whether anything was written to stdout. */
export function hasPrinted(): boolean {
  return printed
}

/** Writes data to stdout. */
export function print(text: string): void {
  printed = true
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** Writes what is neither data nor an error to stderr. */
export function note(text: string): void {
  if (!quiet) say(text, 'yellow')
}

/** Writes to stderr what went wrong. */
export function noteError(text: string): void {
  say(text, 'red')
}

const colors = { red: 31, yellow: 33 } as const

function say(text: string, color: keyof typeof colors): void {
  const name = 'ddi-attach:'
  process.stderr.write(
    `${hasColors(process.stderr) ? `\u001b[${colors[color]}m${name}\u001b[39m` : name} ${printable(text)}\n`,
  )
}

/** By no-color.org and Node's FORCE_COLOR before what the terminal can. */
function hasColors(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR } = process.env
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0'
  return !NO_COLOR && stream.isTTY && stream.hasColors()
}

/** @param kind of what a verb is about to write to standard output @throws ERR_DDI_USAGE if JSON would be in the midst of it */
export function refuseJson(kind: 'file' | 'image', mode: 'off' | 'pretty' | 'short'): void {
  if (mode !== 'off') throw new DdiError('ERR_DDI_USAGE', `standard output cannot be both the ${kind} and JSON`)
}

export function printJson(value: unknown, mode: 'pretty' | 'short'): void {
  print(printableJson(value, mode === 'pretty' ? 2 : undefined))
}

/**
 * Writes the files of an image to stdout as they come, no faster than they are read: however many they are, few are in memory.
 * @param line of a file, where no JSON is asked for
 * @throws ERR_DDI_ABORTED, and what `values` throws
 */
export async function printFiles<Value>(
  image: string,
  files: AsyncIterable<Value>,
  { json, line }: { readonly json: 'off' | 'pretty' | 'short'; readonly line: (file: Value) => string },
  { signal }: Work,
): Promise<void> {
  printed = true
  const text = json === 'off' ? linesOf(files, line) : jsonText(image, files, json)
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
async function* jsonText(
  image: string,
  files: AsyncIterable<unknown>,
  mode: 'pretty' | 'short',
): AsyncGenerator<string> {
  const indent = mode === 'pretty' ? 2 : undefined
  // The text of a list of one is split where the file stands.
  const [head, tail] = printableJson({ image, files: [0] }, indent).split(/0(?=\s*\]\s*\}$)/) as [string, string]
  const lineEnd = mode === 'pretty' ? '\n    ' : ''
  let before = head
  for await (const file of files) {
    yield before + printableJson(file, indent).replaceAll('\n', lineEnd)
    before = `,${lineEnd}`
  }
  yield before === head ? `${printableJson({ image, files: [] }, indent)}\n` : `${tail}\n`
}

/** `1 block`, `2 blocks` @param many if it is not `one` with an s */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** 1536 is `1.5K`: as lsblk writes sizes, in powers of 1024. @param digits at most, behind the point */
export function formatSize(bytes: number, digits = 1): string {
  const units = ['B', 'K', 'M', 'G', 'T', 'P']
  let value = bytes
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  const isWhole = Number.isInteger(value) || (value >= 100 && digits === 1)
  return `${isWhole ? Math.round(value) : value.toFixed(digits)}${units[unit]}`
}
