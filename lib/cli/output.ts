import { printable, printableJson } from '../text.js'

/** Writes data to stdout. */
export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** Writes what is not data to stderr. */
export function note(text: string): void {
  process.stderr.write(`ddi-attach: ${printable(text)}\n`)
}

export function printJson(value: unknown, mode: 'pretty' | 'short'): void {
  print(printableJson(value, mode === 'pretty' ? 2 : undefined))
}

/** 1536 is `1.5K`: as lsblk writes sizes, in powers of 1024. */
export function formatSize(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T', 'P']
  let value = bytes
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)}${units[unit]}`
}
