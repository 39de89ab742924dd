export { blobSource } from '../bytes/blob.js'
export { memorySource } from '../bytes/memory.js'
export type { ExtentOf, Run, Source, Target } from '../bytes/source.js'
export { DdiError, type ErrorCode, type ErrorFields, type ErrorKind } from '../errors.js'
export {
  addPartition,
  findPartition,
  freeSuperRuns,
  type NewPartition,
  type NewSuperDevice,
  newMetadata,
  removePartition,
  renamePartition,
  resizePartition,
} from './change.js'
export { type Geometry, isSuper, type SuperCopy } from './geometry.js'
export { defaultGroup, resizeGroup } from './groups.js'
export { joinSparse } from './join-sparse.js'
export {
  type LogicalPartition,
  type Metadata,
  noAttributes,
  type PartitionAttributes,
  type PartitionGroup,
  type SuperDevice,
  slotSuffix,
  withSlotSuffixes,
} from './metadata.js'
export { isMetadataImage, readMetadataImage } from './metadata-image.js'
export { type EncodeSparseOptions, encodeSparse, expand, isSparse, openSparse, type SparseSource } from './sparse.js'
export { commitSuper, encodeSuper, readSuper, type SuperSlot } from './super.js'
