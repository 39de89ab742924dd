import { digestTree, formatManifestLine } from '../../mount/manifest.js'
import { withTree } from '../../mount/tree.js'
import { inOwnNamespace } from '../namespace.js'
import { noteSource } from '../notes.js'
import { imageArgument, treeOptions, treeWork } from '../options.js'
import { printFiles } from '../output.js'
import { array, nullable, object } from '../schema.js'
import { fileFields, hexadecimal, path } from '../shapes.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'print a manifest of all files of an image with their SHA-256: mtree(5)',
  arguments: [imageArgument],
  options: treeOptions,
  json: object({ image: path, files: array(object({ ...fileFields, sha256: nullable(hexadecimal) })) }),
  examples: ['ddi-attach digest image.raw > image.mtree'],
  async run([path], options) {
    await inOwnNamespace(async () => {
      const work = await treeWork(options)
      await withTree(path, work, async (tree) => {
        noteSource(tree.source)
        await printFiles(
          path,
          digestTree(tree, { signal: work.signal }),
          { json: options.json, line: formatManifestLine },
          work,
        )
      })
    })
  },
})
