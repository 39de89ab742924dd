import { openFile } from '../../../bytes/file.js'
import { DdiError } from '../../../errors.js'
import { parseRootHash } from '../../../verity/root-hash.js'
import { checkRootHash, checkTreeFits } from '../../../verity/tree.js'
import { verifyTree } from '../../../verity/verify.js'
import { type BadBlocks, nameBlocks } from '../../bad-blocks.js'
import { hashOffset, openTree } from '../../hash-tree.js'
import { untilInterrupted } from '../../interrupt.js'
import { json } from '../../options.js'
import { formatSize, print, printJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { rootHash } from '../../values.js'
import { argument, verb } from '../../verb.js'

export default verb({
  summary: 'read all of a volume and its tree, and name every bad block',
  arguments: [
    argument('<data>', 'image file or block device'),
    argument('<hash>', 'file with the tree'),
    argument('<root-hash>', 'in hexadecimal', rootHash),
  ],
  options: { ...hashOffset, ...json },
  examples: ['ddi-attach verity verify root.erofs root.verity 4f2a…'],
  async run([dataPath, hashPath, rootHash], { json, hashOffset }) {
    await using data = await openFile(dataPath)
    await using tree = await openTree(hashPath, hashOffset)
    const { superblock } = tree
    checkTreeFits(superblock, data.size, tree.run.length)
    await checkRootHash(superblock, data, tree.source, parseRootHash(rootHash))
    const bad: BadBlocks[] = []
    const bar = await progressBar('verifying')
    const counts = await verifyTree(superblock, data, tree.source, {
      onBadBlocks: (blocks) => (json === 'off' ? print(nameBlocks(dataPath, blocks)) : void bad.push(blocks)),
      onProgress: bar.update,
      signal: untilInterrupted(),
    }).finally(() => bar.stop())
    const { dataBlocks, dataBlockSize } = superblock
    const covered = { dataBlocks, dataBlockSize, dataSize: data.size }
    if (json !== 'off') printJson({ data: dataPath, hash: hashPath, ...covered, ...counts, badBlocks: bad }, json)
    if (counts.badDataBlocks + counts.badHashBlocks > 0)
      throw new DdiError(
        'ERR_DDI_VERITY_CORRUPT',
        `${dataPath}: ${counts.badDataBlocks} of ${dataBlocks} data blocks and ${counts.badHashBlocks} hash blocks are bad`,
      )
    const size = dataBlocks * dataBlockSize
    if (json === 'off' && size < data.size)
      print(`${dataPath}: ${dataBlocks} blocks (${formatSize(size)} of ${formatSize(data.size)}) match the root hash`)
  },
})
