import { layoutTree } from '../../../verity/tree.js'
import { openTreeFile } from '../../../verity/tree-file.js'
import { describeTree, hashOffset } from '../../hash-tree.js'
import { print, printJson } from '../../output.js'
import { object } from '../../schema.js'
import { tree } from '../../shapes.js'
import { argument, verb } from '../../verb.js'

export default verb({
  summary: 'show the superblock of a hash tree',
  arguments: [argument('<hash>', 'file with the tree')],
  options: { ...hashOffset },
  json: object(tree),
  examples: ['ddi-attach verity dump root.verity --json=pretty'],
  async run([path], { json, hashOffset }) {
    await using tree = await openTreeFile(path, { hashOffset })
    const { superblock, run } = tree
    const facts = describeTree({ superblock, hash: { start: run.start, length: layoutTree(superblock).end } })
    if (json !== 'off') printJson(facts, json)
    else
      for (const [name, value] of Object.entries(facts))
        if (typeof value !== 'object') print(`${name}: ${value || '-'}`)
  },
})
