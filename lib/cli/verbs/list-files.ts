import type { TreeEntry } from '../../mount/entries.js'
import { withTree } from '../../mount/tree.js'
import { printable } from '../../text.js'
import { inOwnNamespace } from '../namespace.js'
import { noteSource } from '../notes.js'
import { imageArgument, treeOptions, treeWork } from '../options.js'
import { printFiles } from '../output.js'
import { array, object } from '../schema.js'
import { fileFields, path } from '../shapes.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'list all files of an image',
  arguments: [imageArgument],
  options: treeOptions,
  json: object({ image: path, files: array(object(fileFields)) }),
  examples: ['ddi-attach list-files image.raw'],
  async run([path], options) {
    await inOwnNamespace(async () => {
      const work = await treeWork(options)
      await withTree(path, work, async (tree) => {
        noteSource(tree.source)
        const line = (entry: TreeEntry) => printable(entry.path)
        await printFiles(path, tree.entries(), { json: options.json, line }, work)
      })
    })
  },
})
