import { withTree } from '../../mount/tree.js'
import { printable } from '../../text.js'
import { inOwnNamespace } from '../namespace.js'
import { noteSource } from '../notes.js'
import { imageArgument, treeOptions, treeWork } from '../options.js'
import { printList } from '../output.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'list all files of an image',
  arguments: [imageArgument],
  options: treeOptions,
  examples: ['ddi-attach list-files image.raw'],
  async run([path], options) {
    await inOwnNamespace(async () => {
      const work = await treeWork(options)
      await withTree(path, work, async (tree) => {
        noteSource(tree.source)
        await printList(tree.entries(), options.json, (entry) => printable(entry.path), work)
      })
    })
  },
})
