import { type FileSource, openFile, openFileForWriting } from '../../../bytes/file.js'
import { overlaySource } from '../../../bytes/overlay.js'
import type { Source } from '../../../bytes/source.js'
import { DdiError } from '../../../errors.js'
import { type Corrected, correctBlocks } from '../../../verity/error-correction.js'
import { parseRootHash } from '../../../verity/root-hash.js'
import type { Superblock } from '../../../verity/superblock.js'
import { checkRootHash, checkTreeFits, layoutTree } from '../../../verity/tree.js'
import { verifyTree } from '../../../verity/verify.js'
import { type BadBlocks, nameBlocks } from '../../bad-blocks.js'
import { openTree, treeOptions } from '../../hash-tree.js'
import { untilInterrupted } from '../../interrupt.js'
import { counted, formatSize, note, print, printJson } from '../../output.js'
import { openParity, parityOptions } from '../../parity.js'
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
    await using data = await openFile(dataPath)
    await using tree = await openTree(hashPath, options, data.size)
    const { superblock } = tree
    await using parity = await openParity(options, { superblock, data, tree })
    checkTreeFits(superblock, data.size, tree.source.size)
    const rootHash = parseRootHash(hexadecimal)
    const bad: BadBlocks[] = []
    const report = (blocks: BadBlocks) => (json === 'off' ? print(nameBlocks(dataPath, blocks)) : void bad.push(blocks))
    const found = await check({ superblock, data, tree: tree.source, rootHash }, report).catch((error: unknown) => {
      if (!parity || !isDamage(error)) throw error
      return error
    })
    const isSound = !(found instanceof DdiError) && found.badDataBlocks + found.badHashBlocks === 0
    const corrected =
      parity && !isSound ? await restore({ superblock, data, tree: tree.source, rootHash }, parity) : undefined
    const counts = found instanceof DdiError ? null : found
    const { dataBlocks, dataBlockSize } = superblock
    const covered = { dataBlocks, dataBlockSize, dataSize: data.size }
    if (json !== 'off')
      printJson(
        {
          data: dataPath,
          hash: hashPath,
          ...covered,
          badDataBlocks: counts?.badDataBlocks ?? null,
          badHashBlocks: counts?.badHashBlocks ?? null,
          badBlocks: bad,
          correctedBytes: corrected?.bytes ?? 0,
        },
        json,
      )
    if (corrected) {
      note(
        `error correction restores ${counted(corrected.bytes, 'byte')} of ${dataPath} and ${hashPath} in ${counted(corrected.blocks.size, 'block')}`,
      )
      if (repair) await writeBack(corrected, { superblock, data, hashPath, start: tree.file.size - tree.source.size })
      return
    }
    if (found instanceof DdiError) throw found
    if (!isSound)
      throw new DdiError(
        'ERR_DDI_VERITY_CORRUPT',
        `${dataPath}: ${found.badDataBlocks} of ${dataBlocks} data blocks and ${found.badHashBlocks} hash blocks are bad`,
      )
    const size = dataBlocks * dataBlockSize
    if (json === 'off' && size < data.size)
      print(
        `${dataPath}: ${counted(dataBlocks, 'block')} (${formatSize(size)} of ${formatSize(data.size)}) ${dataBlocks === 1 ? 'matches' : 'match'} the root hash`,
      )
  },
})

interface Verified {
  readonly superblock: Superblock
  readonly data: Source
  /** Superblock included. */
  readonly tree: Source
  readonly rootHash: Uint8Array
}

async function check({ superblock, data, tree, rootHash }: Verified, onBadBlocks: (bad: BadBlocks) => void) {
  await checkRootHash(superblock, data, tree, rootHash)
  const bar = await progressBar('verifying')
  return await verifyTree(superblock, data, tree, {
    onBadBlocks,
    onProgress: bar.update,
    signal: untilInterrupted(),
  }).finally(() => bar.stop())
}

/** What damage at the top of a tree looks like. */
function isDamage(error: unknown): error is DdiError {
  return (
    error instanceof DdiError &&
    (error.code === 'ERR_DDI_ROOT_HASH_WRONG' || error.code === 'ERR_DDI_VERITY_SUPERBLOCK')
  )
}

/** @returns the blocks with which all matches the root hash; undefined if not all can be restored */
async function restore(
  verified: Verified,
  { covered, parity, ...correction }: NonNullable<Awaited<ReturnType<typeof openParity>>>,
): Promise<Corrected | undefined> {
  const { superblock, data, tree } = verified
  const bar = await progressBar('correcting')
  const work = { signal: untilInterrupted(), onProgress: bar.update }
  const corrected = await correctBlocks(covered, parity, correction, work).finally(() => bar.stop())
  const { dataSize, treeStart } = layoutOf(superblock)
  const writes = [...corrected.blocks].map(([offset, bytes]) => ({ offset, bytes }))
  const inTree = writes.map(({ offset, bytes }) => ({ offset: offset - dataSize + treeStart, bytes }))
  const sources = {
    data: overlaySource(
      data,
      writes.filter(({ offset }) => offset < dataSize),
    ),
    tree: overlaySource(
      tree,
      inTree.filter(({ offset }) => offset >= treeStart),
    ),
  }
  const after = await check({ ...verified, ...sources }, () => {}).catch((error: unknown) => {
    if (!isDamage(error)) throw error
    return undefined
  })
  return after && after.badDataBlocks + after.badHashBlocks === 0 ? corrected : undefined
}

/** Where the parity's bytes lie: it is over the data, and behind that all from the first hash block on. */
function layoutOf(superblock: Superblock) {
  return {
    dataSize: superblock.dataBlocks * superblock.dataBlockSize,
    treeStart: layoutTree(superblock).hashStartBlock * superblock.hashBlockSize,
  }
}

interface Written {
  readonly superblock: Superblock
  readonly data: FileSource
  readonly hashPath: string
  /** Where the tree, as it would be with its superblock, begins in its file: below 0 if that is not stored. */
  readonly start: number
}

async function writeBack({ blocks }: Corrected, { superblock, data, hashPath, start }: Written): Promise<void> {
  const { dataSize, treeStart } = layoutOf(superblock)
  const places = [...blocks].map(([offset, bytes]) =>
    offset < dataSize
      ? { path: data.path, offset, bytes }
      : { path: hashPath, offset: start + treeStart + offset - dataSize, bytes },
  )
  for (const path of new Set(places.map((place) => place.path))) {
    await using file = await openFileForWriting(path)
    for (const place of places) if (place.path === path) await file.write(place.offset, place.bytes)
    await file.flush()
  }
}
