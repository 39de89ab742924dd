import { printable } from '../../text.js'
import type { Graph } from './plan-graph.js'

/** A graph in the language of Graphviz's dot(1). */
export function drawDot({ nodes, edges }: Graph): string {
  return [
    'digraph plan {',
    '  rankdir=BT',
    '  node [shape=box, fontname=sans]',
    '  edge [fontname=sans, fontsize=10]',
    ...nodes.map(({ id, kind, offered, lines }) => {
      const style = kind === 'base' ? ', shape=folder' : offered ? ', penwidth=2' : ', style=dashed'
      return `  ${quoted([id])} [label=${quoted(lines)}${style}]`
    }),
    ...edges.map(({ from, to, label }) => `  ${quoted([from])} -> ${quoted([to])} [label=${quoted([label])}]`),
    '}',
  ].join('\n')
}

/** @param lines of one label; names of files may have quotes and backslashes */
function quoted(lines: readonly string[]): string {
  return `"${lines.map((line) => printable(line).replace(/["\\]/g, '\\$&')).join('\\n')}"`
}
