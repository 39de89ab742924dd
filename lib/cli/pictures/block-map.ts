import type { BadBlocks } from '../bad-blocks.js'
import { formatSize } from '../output.js'

/** As many rows and columns as a terminal shows at once. */
const columns = 64
const most = 16 * columns

/** Which blocks of a volume are bad, over the whole of it: however many there are, a count for each character is all that is kept. */
export interface BlockMap {
  add(bad: BadBlocks): void
  draw(): string
}

/** @param of the designator, @param blocks data blocks of the volume, @param blockSize in bytes */
export function blockMap(of: string, blocks: number, blockSize: number): BlockMap {
  const share = 2 ** Math.ceil(Math.log2(Math.max(1, blocks / most)))
  const bad = new Array<number>(Math.ceil(blocks / share)).fill(0)
  return {
    add({ level, first, count }) {
      if (level !== 'data') return
      const end = first + count
      for (let at = first; at < end; ) {
        const cell = Math.floor(at / share)
        const next = Math.min(end, (cell + 1) * share)
        bad[cell]! += next - at
        at = next
      }
    },
    draw() {
      const text = bad.map((count, cell) => mark(count, Math.min(share, blocks - cell * share))).join('')
      const rows = text.match(new RegExp(`.{1,${columns}}`, 'gu')) ?? []
      const labels = rows.map((_, row) => formatSize(row * columns * share * blockSize))
      const indent = Math.max(...labels.map(({ length }) => length), 0)
      const each =
        share === 1 ? `1 block of ${formatSize(blockSize)}` : `${share} blocks, ${formatSize(share * blockSize)}`
      const legend = share === 1 ? '· good, █ bad' : '· good, ▒ some bad, █ all bad'
      return [
        `${of}: a character is ${each}: ${legend}`,
        ...rows.map((row, n) => `${labels[n]!.padStart(indent)}  ${row}`),
      ].join('\n')
    },
  }
}

function mark(bad: number, of: number): string {
  return bad === 0 ? '·' : bad < of ? '▒' : '█'
}
