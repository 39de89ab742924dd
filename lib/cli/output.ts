import type { Extent } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import type { TreeSource } from '../mount/entries.js'
import { printable } from '../text.js'

export type JsonMode = 'pretty' | 'short' | 'off'

/** Writes data to stdout. */
export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** Writes what is not data to stderr. */
export function note(text: string): void {
  process.stderr.write(`ddi-attach: ${printable(text)}\n`)
}

export function printJson(value: unknown, mode: Exclude<JsonMode, 'off'>): void {
  print(JSON.stringify(value, null, mode === 'pretty' ? 2 : undefined))
}

/** Tells where files were not read as a mount would show them. */
export function noteSource(source: TreeSource): void {
  if (source.kind === 'tool') note(`read by ${source.tool}: nothing is mounted without privileges`)
}

/** The extents of a volume as JSON has them: `start` in bytes from the beginning of the disk, null where nothing stores its zeroes. */
export function describeExtents(extents: readonly Extent[]) {
  return extents.map((extent) => ({ start: extent.kind === 'zero' ? null : extent.start, length: extent.length }))
}

/** 1536 is `1.5K`: as lsblk writes sizes, in powers of 1024. */
export function formatSize(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T', 'P']
  let value = bytes
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)}${units[unit]}`
}

/** Columns under their names, as lsblk has them; null is a dash. */
export async function printTable(
  columns: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): Promise<void> {
  const { default: Table } = await import('cli-table3')
  const none = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' }
  const inner = { 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '' }
  const table = new Table({
    head: [...columns],
    chars: { ...none, ...inner, right: '', 'right-mid': '', middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  table.push(...rows.map((row) => row.map((cell) => (cell === null || cell === '' ? '-' : printable(String(cell))))))
  print(
    table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n'),
  )
}

/** A tree as lsblk and systemctl draw theirs. */
export interface Branch {
  readonly text: string
  readonly children: readonly Branch[]
}

export function drawTree(branch: Branch, indent = ''): string {
  const lines = branch.children.map((child, index) => {
    const last = index === branch.children.length - 1
    return `${indent}${last ? '└─' : '├─'}${drawTree(child, `${indent}${last ? '  ' : '│ '}`)}`
  })
  return [printable(branch.text), ...lines].join('\n')
}

/** A choice of `--json`. @throws ERR_DDI_USAGE */
export function parseJsonMode(value: string): JsonMode {
  if (value === 'pretty' || value === 'short' || value === 'off') return value
  throw new DdiError('ERR_DDI_USAGE', `--json=${value}: one of pretty, short, off`)
}

export interface LaidOut {
  /** In bytes from the start of the disk. */
  readonly start: number
  readonly length: number
  /** `free` and `orphan` are drawn lighter. */
  readonly owner: string
}

const widestBar = 40

/** A disk in the order of its bytes, each piece with a bar as long as its share. @param size of the disk, in bytes */
export async function printLayout(pieces: readonly LaidOut[], size: number): Promise<void> {
  const bar = ({ length, owner }: LaidOut) =>
    (owner === 'free' ? '░' : owner === 'orphan' ? '▒' : '█').repeat(
      Math.max(1, Math.round((length / size) * widestBar)),
    )
  await printTable(
    ['START', 'SIZE', 'PICTURE', 'BELONGS TO'],
    [...pieces]
      .sort((a, b) => a.start - b.start)
      .map((piece) => [formatSize(piece.start), formatSize(piece.length), bar(piece), piece.owner]),
  )
}

export function segmentCount(count: number): string {
  return `${count} ${count === 1 ? 'segment' : 'segments'}`
}
