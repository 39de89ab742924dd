import type { UkiSection } from '../uki/inspect.js'
import { formatSize } from './output.js'
import { printTable } from './table.js'

export async function printSections(sections: readonly UkiSection[]): Promise<void> {
  const hexadecimal = (value: number) => `0x${value.toString(16)}`
  await printTable(
    ['SECTION', 'SIZE', 'OFFSET', 'ADDRESS'],
    sections.map(({ name, size, offset, address }) => [
      name,
      formatSize(size),
      hexadecimal(offset),
      hexadecimal(address),
    ]),
  )
}
