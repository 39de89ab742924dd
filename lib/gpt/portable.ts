export { blobSource } from '../bytes/blob.js'
export { memorySource } from '../bytes/memory.js'
export type { Extent, LinearExtent, Run, Source, ZeroExtent } from '../bytes/source.js'
export { DdiError, type ErrorCode, type ErrorFields, type ErrorKind } from '../errors.js'
export { encodeNewDisk, newGpt } from './create.js'
export {
  architectures,
  type Designator,
  type DpsType,
  designators,
  dpsTypes,
  partitionTypeName,
  partitionTypeUuid,
} from './dps-types.js'
export type { Write } from './encode.js'
export { describeProblem, readGpt } from './read.js'
export { scanGpt } from './scan.js'
export { type Copy, type Gpt, type GptProblem, type GptScan, type Partition, partitionAttributes } from './table.js'
