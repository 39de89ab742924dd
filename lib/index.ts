export type { FileSystem } from '../bindings/blkid.js'
export { activate, type ActivateOptions, type Attachment } from './attach/activate.js'
export { attach, type AttachOptions } from './attach/attach.js'
export { detach, detachAll, type DetachOptions } from './attach/detach.js'
export { list, type ListedAttachment, type ListedVolume } from './attach/list.js'
export { addPartitionNodes, removePartitionNodes } from './attach/partitions.js'
export type { FileSource } from './block/file.js'
export type { Extent, Source } from './block/source.js'
export { DdiError, type ErrorCode, errorCodes, type ErrorKind } from './errors.js'
export type { Designator } from './gpt/dps-types.js'
export {
  type DissectedVolume,
  type Dissection,
  dissect,
  type DissectOptions,
  type HashTree,
  type Verity,
} from './image/dissect.js'
export { type Image, type ImageTable, openImage, type TableProblem } from './image/open.js'
export type { KnownRootHash, ProtectedDesignator } from './image/root-hash-sources.js'
export { type VerifiedVolume, verify, type VerifyOptions } from './image/verify.js'
export {
  attachmentName,
  type BaseNode,
  deviceName,
  type LinearNode,
  type Plan,
  plan,
  type PlannedVolume,
  type PlanNode,
  type PlanOptions,
  type VerityNode,
} from './plan/plan.js'
export type { BadBlocks } from './verity/verify.js'
export type { HashAlgorithm, Superblock } from './verity/superblock.js'
export type { Volume, VolumeFlags } from './volume/volume.js'
