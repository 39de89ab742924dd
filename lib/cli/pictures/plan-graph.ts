import { basename } from 'node:path'
import { deviceName, type Plan, type PlanNode } from '../../image/plan.js'
import { formatSize } from '../output.js'

/** A device, or the file that one stands on. */
export interface GraphNode {
  readonly id: string
  readonly kind: PlanNode['kind']
  /** Whether it is offered, or only stands under another one. */
  readonly offered: boolean
  readonly lines: readonly string[]
}

export interface GraphEdge {
  readonly from: string
  readonly to: string
  /** What `to` takes from `from`. */
  readonly label: string
}

export interface Graph {
  /** Each comes after those it stands on. */
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** The devices of a plan, and which stands on which. */
export function planGraph({ name, nodes }: Plan): Graph {
  return {
    nodes: nodes.map((node) => ({
      id: node.id,
      kind: node.kind,
      offered: node.role === 'volume',
      lines: linesOf(name, node),
    })),
    edges: nodes.flatMap(edgesOf),
  }
}

function linesOf(attachment: string, node: PlanNode): string[] {
  const facts = `${formatSize(node.size)}, ${node.readOnly ? 'read-only' : 'writable'}`
  if (node.kind === 'base') {
    const device = node.backing === 'file' || node.shared ? 'loop device' : 'block device'
    return [basename(node.path), `${device}, ${facts}`]
  }
  const device = [deviceName(attachment, node.id), `dm-${node.kind}, ${facts}`]
  return node.kind === 'verity' ? [...device, `${node.algorithm} ${node.rootHash.slice(0, 16)}…`] : device
}

function edgesOf(node: PlanNode): GraphEdge[] {
  const to = node.id
  if (node.kind === 'base') return []
  if (node.kind === 'verity') {
    const parity = node.errorCorrection ? [{ from: node.errorCorrection.device, to, label: 'parity' }] : []
    return [{ from: node.data, to, label: 'data' }, { from: node.hash, to, label: 'hash tree' }, ...parity]
  }
  const bases = new Set(node.extents.flatMap((extent) => (extent.kind === 'linear' ? [extent.base] : [])))
  return [...bases].map((from) => {
    const extents = node.extents.filter((extent) => extent.kind === 'linear' && extent.base === from)
    const first = extents[0]
    const label =
      extents.length === 1 && first?.kind === 'linear' ? `from ${formatSize(first.start)}` : `${extents.length} extents`
    return { from, to, label }
  })
}
