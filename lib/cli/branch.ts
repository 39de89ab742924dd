import { printable } from '../text.js'

/** A tree as lsblk and systemctl draw theirs. */
export interface Branch {
  readonly text: string
  readonly children: readonly Branch[]
}

export function drawTree(branch: Branch, indent = ''): string {
  const lines = branch.children.map((child, index) => {
    const last = index === branch.children.length - 1
    return `${indent}${last ? '└─' : '├─'}${drawTree(child, `${indent}${last ? '  ' : '│ '}`)}`
  })
  return [printable(branch.text), ...lines].join('\n')
}
