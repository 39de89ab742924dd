import { type Markup, markup } from './markup.js'
import type { Graph, GraphNode } from './plan-graph.js'

// In pixels; the font is one in which all characters are equally wide.
const character = 7.3
const line = 17
const padding = 12
const between = { x: 28, y: 52 }

interface Box extends GraphNode {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Legible on light and on dark, wherever it is shown: it follows what the reader prefers. */
const style = markup`
  .paper { fill: #ffffff } text { font: 12px ui-monospace, monospace; fill: #1f2328 }
  rect.node { fill: #f6f8fa; stroke: #8c959f } rect.offered { stroke: #1a7f37; stroke-width: 2 }
  rect.base { fill: #ddf4ff; stroke: #54aeff }
  path { fill: none; stroke: #8c959f } text.label { font-size: 10.5px; fill: #59636e } .paper-edge { stroke: #ffffff; stroke-width: 4; paint-order: stroke }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } rect.node { fill: #151b23; stroke: #656c76 } rect.offered { stroke: #3fb950 }
    rect.base { fill: #0c2d6b; stroke: #388bfd } path { stroke: #656c76 } text.label { fill: #9198a1 } .paper-edge { stroke: #0d1117 }
  }`

/** A graph as a picture: what a device stands on is under it. */
export function drawSvg(graph: Graph): string {
  const boxes = layOut(graph)
  const byId = new Map(boxes.map((box) => [box.id, box]))
  const width = Math.max(...boxes.map((box) => box.x + box.width)) + padding
  const height = Math.max(...boxes.map((box) => box.y + box.height)) + padding
  const edges = graph.edges.map(({ from, to, label }) => drawEdge(byId.get(from)!, byId.get(to)!, label))
  return markup`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>${style}
</style>
<rect class="paper" width="${width}" height="${height}"/>
${edges}${boxes.map(drawBox)}</svg>`.toString()
}

/** Rows by what stands on what, the base lowest; each row is centred. */
function layOut({ nodes, edges }: Graph): Box[] {
  const rankOf = new Map<string, number>()
  for (const { id } of nodes) {
    const under = edges.filter(({ to }) => to === id).map(({ from }) => rankOf.get(from) ?? 0)
    rankOf.set(id, under.length > 0 ? Math.max(...under) + 1 : 0)
  }
  const ranks = Math.max(...rankOf.values()) + 1
  const rows = Array.from({ length: ranks }, (_, rank) => nodes.filter(({ id }) => rankOf.get(id) === ranks - 1 - rank))
  const sized = rows.map((row) => row.map((node) => ({ ...node, ...sizeOf(node) })))
  const widthOf = (row: readonly { readonly width: number }[]) =>
    row.reduce((sum, { width }) => sum + width + between.x, -between.x)
  const widest = Math.max(...sized.map(widthOf))
  const boxes: Box[] = []
  let y = padding
  for (const row of sized) {
    let x = padding + (widest - widthOf(row)) / 2
    for (const node of row) {
      boxes.push({ ...node, x, y })
      x += node.width + between.x
    }
    y += Math.max(...row.map(({ height }) => height)) + between.y
  }
  return boxes
}

function sizeOf({ lines }: GraphNode): { width: number; height: number } {
  const longest = Math.max(...lines.map(({ length }) => length))
  return { width: Math.ceil(longest * character) + 2 * padding, height: lines.length * line + 2 * padding - 4 }
}

function drawBox({ x, y, width, height, kind, offered, lines }: Box): Markup {
  const texts = lines.map(
    (text, n) => markup`<text x="${x + padding}" y="${y + padding + 10 + n * line}">${text}</text>`,
  )
  const kinds = kind === 'base' ? 'node base' : offered ? 'node offered' : 'node'
  return markup`<rect class="${kinds}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>${texts}
`
}

function drawEdge(from: Box, to: Box, label: string): Markup {
  const [x1, y1] = [from.x + from.width / 2, from.y]
  const [x2, y2] = [to.x + to.width / 2, to.y + to.height]
  const bend = (y1 - y2) / 2
  return markup`<path d="M${x1} ${y1} C${x1} ${y1 - bend} ${x2} ${y2 + bend} ${x2} ${y2}"/><text class="label paper-edge" text-anchor="middle" x="${(x1 + x2) / 2}" y="${(y1 + y2) / 2 + 4}">${label}</text>
`
}
