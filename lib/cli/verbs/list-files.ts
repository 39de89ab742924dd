import type { TreeEntry } from '../../mount/entries.js'
import { withTree } from '../../mount/tree.js'
import { printable } from '../../text.js'
import { inOwnNamespace } from '../namespace.js'
import { noteSource } from '../notes.js'
import { imageArgument, treeOptions, treeWork } from '../options.js'
import { print, printJson } from '../output.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'list all files of an image',
  arguments: [imageArgument],
  options: treeOptions,
  examples: ['ddi-attach list-files image.raw'],
  async run([path], options) {
    await inOwnNamespace(async () => {
      await withTree(path, await treeWork(options), async (tree) => {
        noteSource(tree.source)
        const entries: TreeEntry[] = []
        for await (const entry of tree.entries()) {
          if (options.json === 'off') print(printable(entry.path))
          else entries.push(entry)
        }
        if (options.json !== 'off') printJson(entries, options.json)
      })
    })
  },
})
