import { archiveTree } from '../../mount/archive.js'
import { withTree } from '../../mount/tree.js'
import { inOwnNamespace } from '../namespace.js'
import { imageArgument, treeOptions, treeWork } from '../options.js'
import { printJson, refuseJson } from '../output.js'
import { progressBar } from '../progress.js'
import { object } from '../schema.js'
import { path } from '../shapes.js'
import { argument, verb } from '../verb.js'

export default verb({
  summary: 'write all files of an image as a tar archive: the same image gives the same bytes',
  arguments: [imageArgument, argument('[target]', 'new file; - is standard output (default: -)')],
  options: treeOptions,
  json: object({ image: path, target: path }),
  examples: ['ddi-attach archive image.raw image.tar', 'ddi-attach archive image.raw | zstd > image.tar.zst'],
  async run([path, target = '-'], options) {
    const { json } = options
    if (target === '-') refuseJson('file', json)
    await inOwnNamespace(async () => {
      const work = await treeWork(options)
      await withTree(path, work, async (tree) => {
        const bar = await progressBar('archiving')
        const writing = { signal: work.signal, onProgress: bar.update }
        await archiveTree(tree, target === '-' ? process.stdout : target, writing).finally(() => bar.stop())
      })
      if (json !== 'off') printJson({ image: path, target }, json)
    })
  },
})
