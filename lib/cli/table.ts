import { DdiError } from '../errors.js'
import { printable } from '../text.js'
import { formatSize, print } from './output.js'
import { flag, option, type ValuesOf } from './verb.js'

/** Text, a number, a size in bytes, or nothing: a dash. */
export type Cell = string | number | { readonly bytes: number } | null

/** What of a table is printed, and how; lsblk(8) has options of these names. */
export const tableOptions = {
  output: option('-o, --output <columns>', 'print only these columns, in this order: LABEL,SIZE', columnNames),
  noheadings: flag('-n, --noheadings', 'print no names of columns'),
  bytes: flag('-b, --bytes', 'print sizes in bytes'),
}

const { output: _, ...withoutColumns } = tableOptions

/** Of verbs whose `--output` is a file. */
export const plainTableOptions = withoutColumns

export type TableValues = Partial<ValuesOf<typeof tableOptions>>

/** Tells whether a script asks for the table alone, without what people like to see around it. */
export function isTableAlone({ output, noheadings = false }: TableValues): boolean {
  return output !== undefined || noheadings
}

/** Columns under their names, as lsblk has them. @throws ERR_DDI_USAGE for a name that no column has */
export async function printTable(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  options: TableValues,
): Promise<void> {
  const { output = columns, noheadings = false, bytes = false } = options
  const chosen = output.map((name) => indexOf(name, columns))
  const headings = noheadings ? [] : [columns]
  const size = columns.map((_, column) => (bytes ? String : sizeFormat(rows.map((row) => row[column] ?? null))))
  const lines = [...headings, ...rows.map((row) => row.map((cell, column) => textOf(cell, size[column]!)))].map(
    (line) => chosen.map((column) => line[column]!),
  )
  const widthOf = await widths(lines)
  const widest = chosen.map((_, place) => lines.reduce((most, line) => Math.max(most, widthOf(line[place]!)), 0))
  const fitting = isTableAlone({ output: options.output, noheadings }) ? widest : fit(widest, terminalWidth())
  const padded = lines.map((line) =>
    line.map((text, place) => {
      const shown = widthOf(text) > fitting[place]! ? `${text.slice(0, fitting[place]! - 1)}…` : text
      return shown + ' '.repeat(Math.max(0, fitting[place]! - widthOf(shown)))
    }),
  )
  if (padded.length > 0) print(padded.map((line) => line.join('  ').trimEnd()).join('\n'))
}

/** Of a terminal; what is read by a program is of any width. */
function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns || Number.POSITIVE_INFINITY : Number.POSITIVE_INFINITY
}

const narrowest = 8

/** Widths with which a table fits: the widest columns give way, none below {@link narrowest}. */
function fit(widths: readonly number[], limit: number): readonly number[] {
  const fitting = [...widths]
  const gaps = 2 * (widths.length - 1)
  for (;;) {
    const most = Math.max(...fitting)
    if (most <= narrowest || fitting.reduce((sum, one) => sum + one, gaps) <= limit) return fitting
    fitting[fitting.indexOf(most)] = most - 1
  }
}

function textOf(cell: Cell, size: (bytes: number) => string): string {
  if (cell === null || cell === '') return '-'
  return typeof cell === 'object' ? size(cell.bytes) : printable(String(cell))
}

/** Sizes of one column that differ look different: they get more digits, or else are in bytes. */
function sizeFormat(cells: readonly Cell[]): (bytes: number) => string {
  const sizes = new Set(cells.flatMap((cell) => (cell !== null && typeof cell === 'object' ? [cell.bytes] : [])))
  const formats = [1, 2, 3].map((digits) => (bytes: number) => formatSize(bytes, digits))
  return formats.find((format) => new Set([...sizes].map(format)).size === sizes.size) ?? String
}

function columnNames(given: string): readonly string[] {
  return given.split(',').map((name) => name.trim().toUpperCase())
}

function indexOf(name: string, columns: readonly string[]): number {
  const index = columns.indexOf(name)
  if (index >= 0) return index
  throw new DdiError('ERR_DDI_USAGE', `--output: there is no column ${name}: the columns are ${columns.join(', ')}`)
}

/** Of most tables each character is one column wide, and no code has to be loaded that knows the others. */
async function widths(lines: readonly (readonly string[])[]): Promise<(text: string) => number> {
  if (lines.every((line) => line.every((text) => narrow.test(text)))) return (text) => text.length
  return (await import('string-width')).default
}

const narrow = /^[ -~█░▒│·]*$/
