import { copyTo } from '../../mount/files.js'
import { withTree } from '../../mount/tree.js'
import { inOwnNamespace } from '../namespace.js'
import { imageArgument, ownershipOf, ownershipOptions, treeOptions, treeWork } from '../options.js'
import { printJson } from '../output.js'
import { progressBar } from '../progress.js'
import { object } from '../schema.js'
import { path } from '../shapes.js'
import { argument, verb } from '../verb.js'

export default verb({
  summary: 'copy a file or directory into a directory, or an image that is not protected',
  arguments: [imageArgument, argument('<source>', 'file or directory'), argument('<target>', 'path in the image')],
  options: { ...treeOptions, ...ownershipOptions },
  json: object({ image: path, source: path, target: path }),
  examples: ['ddi-attach copy-to image.raw ./motd etc/motd'],
  async run([path, source, target], options) {
    await inOwnNamespace(async () => {
      const work = await treeWork(options)
      await withTree(path, { ...work, writable: true }, async (tree) => {
        const bar = await progressBar('copying')
        const copying = { signal: work.signal, onProgress: bar.update, ...ownershipOf(options) }
        await copyTo(tree, source, target, copying).finally(() => bar.stop())
      })
      if (options.json !== 'off') printJson({ image: path, source, target }, options.json)
    })
  },
})
