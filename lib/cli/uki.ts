import type { UkiSection } from '../uki/inspect.js'
import { printTable, type TableValues } from './table.js'

export async function printSections(sections: readonly UkiSection[], table: TableValues): Promise<void> {
  const hexadecimal = (value: number) => `0x${value.toString(16)}`
  await printTable(
    ['SECTION', 'SIZE', 'OFFSET', 'ADDRESS'],
    sections.map(({ name, size, offset, address }) => [
      name,
      { bytes: size },
      hexadecimal(offset),
      hexadecimal(address),
    ]),
    table,
  )
}
