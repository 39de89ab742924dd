export { blobSource } from '../bytes/blob.js'
export { memorySource } from '../bytes/memory.js'
export { sliceSource } from '../bytes/slice.js'
export type { FileExtent, OpenedFile, Run, Source, Target } from '../bytes/source.js'
export { DdiError, type ErrorCode, type ErrorFields, type ErrorKind } from '../errors.js'
export type { Progress, Work } from '../work.js'
export { bareTreeSource } from './bare-tree.js'
export { checkedSource } from './checked.js'
export {
  type Corrected,
  correctBlocks,
  coveredBlocks,
  type ErrorCorrection,
  parityLength,
  writeParity,
} from './error-correction.js'
export { newSuperblock, type TreeOptions, writeTree } from './format.js'
export { parseRootHash, rootHashUuids } from './root-hash.js'
export {
  digestLengths,
  encodeSuperblock,
  type HashAlgorithm,
  parseSuperblock,
  readSuperblock,
  type Superblock,
} from './superblock.js'
export { checkRootHash, checkTreeFits, layoutTree, type TreeLayout, type TreeLevel } from './tree.js'
export { type BadBlocks, type VerifyTreeOptions, verifyTree } from './verify.js'
