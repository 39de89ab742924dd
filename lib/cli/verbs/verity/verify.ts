import { DdiError } from '../../../errors.js'
import { parseRootHash } from '../../../verity/root-hash.js'
import { verifyFile } from '../../../verity/verify-file.js'
import { type BadBlocks, nameBlocks, nameMatching } from '../../bad-blocks.js'
import { given } from '../../given.js'
import { treeFileOf, treeOptions } from '../../hash-tree.js'
import { untilInterrupted } from '../../interrupt.js'
import { counted, formatSize, note, print, printJson } from '../../output.js'
import { parityOf, parityOptions } from '../../parity.js'
import { progressBar } from '../../progress.js'
import { array, integer, nullable, object } from '../../schema.js'
import { badBlocks, bytes, path } from '../../shapes.js'
import { rootHash } from '../../values.js'
import { argument, flag, verb } from '../../verb.js'

export default verb({
  summary: 'read all of a volume and its tree, and name every bad block',
  arguments: [
    argument('<data>', 'image file or block device'),
    argument('<hash>', 'file with the tree'),
    argument('<root-hash>', 'in hexadecimal', rootHash),
  ],
  options: {
    repair: flag('--repair', 'write the blocks that error correction restores, if all match the root hash then'),
    ...treeOptions,
    ...parityOptions,
  },
  json: object({
    data: path,
    hash: path,
    dataBlocks: integer,
    dataBlockSize: bytes,
    dataSize: bytes,
    badDataBlocks: nullable(integer),
    badHashBlocks: nullable(integer),
    badBlocks: array(object(badBlocks)),
    correctedBytes: bytes,
  }),
  examples: [
    'ddi-attach verity verify root.erofs root.verity 4f2a…',
    'ddi-attach verity verify root.erofs root.verity 4f2a… --fec-device root.fec --repair',
  ],
  async run([dataPath, hashPath, hexadecimal], options) {
    const { json, repair, fecDevice } = options
    if (repair && fecDevice === undefined)
      throw new DdiError('ERR_DDI_USAGE', '--repair needs the parity of error correction: give --fec-device')
    const bad: BadBlocks[] = []
    const bar = await progressBar('verifying')
    const found = await verifyFile(dataPath, hashPath, parseRootHash(hexadecimal), {
      ...treeFileOf(options),
      ...given({ parity: parityOf(options) }),
      repair,
      onBadBlocks: (blocks) => (json === 'off' ? print(nameBlocks(dataPath, blocks)) : void bad.push(blocks)),
      onProgress: bar.update,
      signal: untilInterrupted(),
    }).finally(() => bar.stop())
    const { superblock, dataSize, badDataBlocks, badHashBlocks, corrected } = found
    const { dataBlocks, dataBlockSize } = superblock
    const counts = { dataBlocks, dataBlockSize, dataSize, badDataBlocks, badHashBlocks }
    const paths = { data: dataPath, hash: hashPath }
    if (json !== 'off') printJson({ ...paths, ...counts, badBlocks: bad, correctedBytes: corrected?.bytes ?? 0 }, json)
    if (corrected) {
      const [bytes, blocks] = [counted(corrected.bytes, 'byte'), counted(corrected.blocks.size, 'block')]
      note(`error correction restores ${bytes} of ${dataPath} and ${hashPath} in ${blocks}`)
      return
    }
    if (badDataBlocks || badHashBlocks)
      throw new DdiError(
        'ERR_DDI_VERITY_CORRUPT',
        `${dataPath}: ${badDataBlocks} of ${dataBlocks} data blocks and ${badHashBlocks} hash blocks are bad`,
      )
    const size = dataBlocks * dataBlockSize
    if (json === 'off' && size < dataSize)
      print(nameMatching(dataPath, dataBlocks, `${formatSize(size)} of ${formatSize(dataSize)}`, 'the root hash'))
  },
})
