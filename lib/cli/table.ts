import { printable } from '../text.js'
import { print } from './output.js'

/** Columns under their names, as lsblk has them; null is a dash. */
export async function printTable(
  columns: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): Promise<void> {
  const texts = rows.map((row) => row.map((cell) => (cell === null || cell === '' ? '-' : printable(String(cell)))))
  const lines = [columns, ...texts]
  const widthOf = await widths(lines)
  const widest = columns.map((_, column) => lines.reduce((most, line) => Math.max(most, widthOf(line[column]!)), 0))
  const padded = lines.map((line) => line.map((text, column) => text + ' '.repeat(widest[column]! - widthOf(text))))
  print(padded.map((line) => line.join('  ').trimEnd()).join('\n'))
}

/** Of most tables each character is one column wide, and no code has to be loaded that knows the others. */
async function widths(lines: readonly (readonly string[])[]): Promise<(text: string) => number> {
  if (lines.every((line) => line.every((text) => narrow.test(text)))) return (text) => text.length
  return (await import('string-width')).default
}

const narrow = /^[ -~█░▒]*$/
