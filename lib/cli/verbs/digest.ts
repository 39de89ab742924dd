import { digestTree, formatManifestLine } from '../../mount/manifest.js'
import { withTree } from '../../mount/tree.js'
import { inOwnNamespace } from '../namespace.js'
import { noteSource } from '../notes.js'
import { imageArgument, treeOptions, treeWork } from '../options.js'
import { printList } from '../output.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'print a manifest of all files of an image with their SHA-256: mtree(5)',
  arguments: [imageArgument],
  options: treeOptions,
  examples: ['ddi-attach digest image.raw > image.mtree'],
  async run([path], options) {
    await inOwnNamespace(async () => {
      const work = await treeWork(options)
      await withTree(path, work, async (tree) => {
        noteSource(tree.source)
        await printList(digestTree(tree, work), options.json, formatManifestLine, work)
      })
    })
  },
})
