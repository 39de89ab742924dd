import type { Image } from '../../image/open.js'
import { formatSize } from '../output.js'
import { piecesOf } from './layout.js'
import { type Markup, markup } from './markup.js'
import { hues } from './report-style.js'
import { type Scale, ticks } from './scale.js'

// In units of the picture, which is scaled to the width of the page.
const width = 1000
const bar = { y: 4, height: 56 }
const inner = { y: 66, height: 16 }
const character = 7.3
const tickGap = 90

/** A disk as a bar with its volumes, to scale; those of tables inside volumes are on a second bar below it. */
export function drawDisk({ size, volumes, orphans, free }: Image): Markup {
  const scale = { size, width }
  const drawn = volumes.flatMap((volume, n) =>
    piecesOf([volume]).map((piece) => ({ ...piece, hue: hueOf(n), isNested: volume.origin.kind === 'nested' })),
  )
  const outer = drawn.filter(({ isNested }) => !isNested)
  const nested = drawn.filter(({ isNested }) => isNested)
  const ruler = nested.length > 0 ? inner.y + inner.height + 6 : inner.y
  return markup`<svg viewBox="0 0 ${width + 2} ${ruler + 26}" role="img" aria-label="The volumes of the image, to scale">
<rect class="free" x="0" y="${bar.y}" width="${width}" height="${bar.height}" rx="4"/>
${[
  ...outer.map((piece) => rectangle(scale, piece, bar, piece.hue)),
  ...orphans.map((orphan) => rectangle(scale, { ...orphan, owner: 'orphan' }, bar, 'orphan')),
  ...free.map((run) => rectangle(scale, { ...run, owner: 'free' }, bar, 'free')),
  ...nested.map((piece) => rectangle(scale, piece, inner, piece.hue)),
  ...ticks(scale, tickGap).map((at) => tick(scale, at, ruler)),
]}</svg>`
}

/** The class of the colour of a volume. @param index among those of its image */
export function hueOf(index: number): string {
  return `h${index % hues}`
}

function rectangle(
  scale: Scale,
  piece: { readonly start: number; readonly length: number; readonly owner: string },
  { y, height }: { readonly y: number; readonly height: number },
  kind: string,
): Markup {
  const x = rounded(scale, piece.start)
  const across = Math.max(1, rounded(scale, piece.start + piece.length) - x)
  const title = `${piece.owner}: ${formatSize(piece.length)} from ${formatSize(piece.start)}`
  const room = Math.floor((across - 12) / character)
  const fits = kind !== 'free' && height > 20 && piece.owner.length <= room
  const name = fits ? markup`<text class="name" x="${x + 6}" y="${y + height / 2 + 4}">${piece.owner}</text>` : ''
  return markup`<g><title>${title}</title><rect class="${kind}" x="${x}" y="${y}" width="${Math.max(1, across - 1)}" height="${height}" rx="2"/>${name}</g>
`
}

function tick(scale: Scale, at: number, y: number): Markup {
  const x = rounded(scale, at)
  const anchor = x + 5 * character > scale.width ? 'end' : 'start'
  return markup`<line class="tick" x1="${x}" x2="${x}" y1="${y}" y2="${y + 6}"/><text text-anchor="${anchor}" x="${x}" y="${y + 20}">${formatSize(at)}</text>
`
}

function rounded({ size, width }: Scale, at: number): number {
  return Math.round((at / size) * width * 10) / 10
}
