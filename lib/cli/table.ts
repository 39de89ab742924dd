import { printable } from '../text.js'
import { print } from './output.js'

/** Columns under their names, as lsblk has them; null is a dash. */
export async function printTable(
  columns: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): Promise<void> {
  const { default: widthOf } = await import('string-width')
  const widths = columns.map((name) => widthOf(name))
  const texts = rows.map((row) =>
    row.map((cell, column) => {
      const text = cell === null || cell === '' ? '-' : printable(String(cell))
      widths[column] = Math.max(widths[column]!, widthOf(text))
      return text
    }),
  )
  const padded = [columns, ...texts].map((line) =>
    line.map((text, column) => text + ' '.repeat(widths[column]! - widthOf(text))),
  )
  print(padded.map((line) => line.join('  ').trimEnd()).join('\n'))
}
