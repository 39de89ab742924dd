import { copyFrom } from '../../mount/files.js'
import { withTree } from '../../mount/tree.js'
import { inOwnNamespace } from '../namespace.js'
import { noteSource } from '../notes.js'
import { imageArgument, ownershipOf, ownershipOptions, treeOptions, treeWork } from '../options.js'
import { printJson, refuseJson } from '../output.js'
import { progressBar } from '../progress.js'
import { object } from '../schema.js'
import { path } from '../shapes.js'
import { argument, verb } from '../verb.js'

export default verb({
  summary: 'copy a file or directory out of an image',
  arguments: [
    imageArgument,
    argument('<source>', 'path in the image'),
    argument('[target]', 'new path; - is standard output (default: -)'),
  ],
  options: { ...treeOptions, ...ownershipOptions },
  json: object({ image: path, source: path, target: path }),
  examples: ['ddi-attach copy-from image.raw etc/os-release', 'ddi-attach copy-from image.raw usr/share ./share'],
  async run([path, source, target = '-'], options) {
    const { json } = options
    if (target === '-') refuseJson('file', json)
    await inOwnNamespace(async () => {
      const work = await treeWork(options)
      await withTree(path, work, async (tree) => {
        noteSource(tree.source)
        const bar = await progressBar('copying')
        const to = target === '-' ? process.stdout : target
        const copying = { signal: work.signal, onProgress: bar.update, ...ownershipOf(options) }
        await copyFrom(tree, source, to, copying).finally(() => bar.stop())
      })
      if (json !== 'off') printJson({ image: path, source, target }, json)
    })
  },
})
