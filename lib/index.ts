export type { FileSystem } from '../bindings/blkid.js'
export { type ActivateOptions, type AttachedVolume, type Attachment, activate } from './attach/activate.js'
export { type AttachOptions, attach } from './attach/attach.js'
export { type DetachOptions, detach, detachAll } from './attach/detach.js'
export { attachedDevice, type OpenDiskOptions, openDisk } from './attach/disk.js'
export { type FirstVolume, type InitDiskOptions, initDisk } from './attach/init-disk.js'
export { type ListedAttachment, type ListedVolume, list } from './attach/list.js'
export type { DryRunOptions } from './attach/open-for-change.js'
export { prepareResize } from './attach/resize-file-system.js'
export { type OpenSuperOptions, openSuper } from './attach/super.js'
export { type AttachVerityOptions, attachVerity } from './attach/verity.js'
export { type BootOptions, boot } from './boot/boot.js'
export { type BootLog, openBootLog } from './boot/boot-log.js'
export { type BootOrigin, besideOrigin, findBootOrigin } from './boot/origin.js'
export { type PullRequest, parsePullExpression } from './boot/pull-expression.js'
export { type BootPull, type BootPullOptions, pullAtBoot } from './boot/pulls.js'
export { parseStoreParameters, type StoreParameters } from './boot/store-parameters.js'
export {
  type AndroidFileOptions,
  convertSparse,
  type ExtractedPartition,
  type ExtractOptions,
  extractLogical,
} from './build/android-file.js'
export type { BuiltImage, BuiltPartition } from './build/built.js'
export type { BuildOptions, PartitionChoice } from './build/context.js'
export { type EmptyMode, type PartitionDiskOptions, partitionDisk } from './build/existing.js'
export { buildImage } from './build/image.js'
export { formatParity, type ParityFile, previewParity, type StoredTree } from './build/parity.js'
export { type MadeSignature, type Signer, sign } from './build/sign.js'
export {
  fittingSuperSize,
  type MakeSuperOptions,
  makeSuper,
  type SuperDefinition,
  type SuperPartition,
} from './build/super.js'
export {
  type FormatFileOptions,
  type FormatPlaceOptions,
  type FormattedTree,
  formatFile,
  previewFormat,
} from './build/tree.js'
export { blobSource } from './bytes/blob.js'
export { concatSources } from './bytes/concat.js'
export { extentSource } from './bytes/extents.js'
export { type FileSource, type FileTarget, openFile, openFileForWriting } from './bytes/file.js'
export { memorySource } from './bytes/memory.js'
export { overlaySource } from './bytes/overlay.js'
export { zeroSource } from './bytes/repeat.js'
export { sliceSource } from './bytes/slice.js'
export type {
  Extent,
  ExtentOf,
  FileExtent,
  LinearExtent,
  OpenedFile,
  Run,
  Source,
  Target,
  ZeroExtent,
} from './bytes/source.js'
export { extensionTypeUuid, extensionUuid, nestedTypeUuid, type VolumeHead } from './disk/chain.js'
export type { Room } from './disk/change.js'
export { type DiskContents, readDisk } from './disk/contents.js'
export type { Disk, DiskCreateOptions, UnnamedVolume } from './disk/disk.js'
export { type NestedDefect, type NestedOptions, type NestedVolumes, nestedVolumes } from './disk/nested.js'
export type { Orphan } from './disk/partition.js'
export { findSuper, type LogicalHead, type Super } from './disk/super.js'
export type {
  CheckOptions,
  CheckResult,
  CreateOptions,
  NameOptions,
  ResizeOptions,
  TableContents,
  VolumeTable,
} from './disk/table.js'
export {
  type BrokenVolume,
  type ChainOrigin,
  findByName,
  foundExtents,
  headAttributes,
  type LogicalOrigin,
  type NestedOrigin,
  type Origin,
  type OwnOrigin,
  ownOrigin,
  type PartitionOrigin,
  requireWhole,
  type Segment,
  type Volume,
  type VolumeFlags,
  type WholeImageOrigin,
  type WholeVolume,
} from './disk/volume.js'
export { DdiError, type ErrorCode, type ErrorFields, type ErrorKind, errorCodes } from './errors.js'
export { type Designator, partitionTypeName, partitionTypeUuid } from './gpt/dps-types.js'
export { machineArchitectures } from './image/architecture.js'
export { trustedCertificates } from './image/certificates.js'
export type { ImageTable, TableProblem } from './image/contents.js'
export { type DiscoveredImage, type DiscoverOptions, discoverImages } from './image/discover.js'
export { type DissectOptions, dissect } from './image/dissect.js'
export type { DissectedVolume, Dissection, HashTree, Parity, UsableVolume, Verity } from './image/dissection.js'
export { logicalPartitions } from './image/logical.js'
export {
  type Image,
  type ImageOnOptions,
  imageOn,
  type OpenOptions,
  openImage,
  volumeSource,
} from './image/open.js'
export {
  attachmentName,
  type BaseNode,
  type CorruptionAction,
  deviceName,
  type LinearNode,
  type NodeRole,
  type Plan,
  type PlanNode,
  type PlannedVolume,
  type PlanOptions,
  plan,
  type VerityNode,
} from './image/plan.js'
export {
  equivalentPolicies,
  formatImagePolicy,
  type ImagePolicy,
  intersectPolicies,
  namedPolicies,
  type PartitionPolicy,
  type PolicyDesignator,
  type PolicyUse,
  parseImagePolicy,
  policyFor,
} from './image/policy.js'
export { dissectRemains } from './image/remains.js'
export { type KnownRootHash, type ProtectedDesignator, sideFiles } from './image/root-hash-sources.js'
export type { RootHashSignature, SignatureMode } from './image/signatures.js'
export { validate } from './image/validate.js'
export { type VerifiedVolume, type VerifyOptions, verify } from './image/verify.js'
export { dissectVerityDevices, type VerityDevicesOptions } from './image/verity-devices.js'
export { makeVolumeHead, type NewVolume, requireTypeUuid } from './image/volume-head.js'
export { type ImageClass, imageClasses } from './image-classes.js'
export type { BootEntry } from './install/boot-entry.js'
export type { UkiToInstall } from './install/efi-partition.js'
export {
  type DataVolume,
  dataDesignators,
  type InstallDiskOptions,
  type InstalledDisk,
  installDisk,
} from './install/install-disk.js'
export { mapperPath } from './kernel/device-mapper.js'
export { addPartitionNodes, removePartitionNodes } from './kernel/partitions.js'
export { archiveTree } from './mount/archive.js'
export type { FileKind, Tree, TreeEntry, TreeSource } from './mount/entries.js'
export { type ImageFacts, type ImageUse, readFacts } from './mount/facts.js'
export { type CopyOptions, copyFrom, copyTo, digestFile } from './mount/files.js'
export { type DigestedEntry, digestTree, formatManifestLine } from './mount/manifest.js'
export { type MountedImage, mountImage } from './mount/mount.js'
export type { MountOptions } from './mount/options.js'
export { openRoot, type Root } from './mount/root.js'
export { withTree } from './mount/tree.js'
export { unmountImage } from './mount/unmount.js'
export type { MountedVolume } from './mount/volume.js'
export { withMount } from './mount/with.js'
export { type Address, parseAddress } from './pull/address.js'
export type { ClientIdentity } from './pull/certificates.js'
export type { VerifyMode } from './pull/checksums.js'
export { type ImageKind, imageKind, imageName, imagePath, type SideFile } from './pull/names.js'
export { type Credentials, credentialsIn } from './pull/netrc.js'
export type { PullOptions } from './pull/options.js'
export { type Pulled, type PullTarget, pull } from './pull/pull.js'
export { pullWithSideFiles } from './pull/side-files.js'
export {
  ambiguousProducts,
  type FindStoresOptions,
  type FoundStore,
  findStores,
  readStore,
  storeOfProduct,
} from './store/disks.js'
export { imagesAmong, type StoreImage } from './store/image.js'
export { type Installed, type InstallOptions, installImage } from './store/install.js'
export { formatLabel, type ImageName, parseLabel } from './store/names.js'
export { type MatchPattern, parsePattern, productIn } from './store/pattern.js'
export type { Hold, Retention } from './store/retention.js'
export { runningImage } from './store/running.js'
export { type Scrubbed, scrub } from './store/scrub.js'
export { candidates, type ImageEntry } from './store/select.js'
export { afterRefusal, afterTry, type ImageMarks, type ImageState, type Mark, marksOf, stateOf } from './store/state.js'
export { type ForceOptions, openStore, type Store, type StoreOptions, storeOn } from './store/store.js'
export { type ReadTransfer, readTransfers, type Transfer } from './store/transfer.js'
export { installUnits, storeUnits } from './store/units.js'
export { type Available, availableUpdate, installUpdate, type Updated, type UpdateOptions } from './store/update.js'
export type { BootRequest } from './uki/command-line.js'
export { buildExtraInitrd, type ExtraInitrdOptions } from './uki/extra-initrd.js'
export { type BuiltInitrd, buildInitrd, type InitrdOptions } from './uki/initrd.js'
export { inspectUki, type UkiFacts, type UkiSection, type UkiSignature } from './uki/inspect.js'
export type { SecureBootKey } from './uki/secure-boot.js'
export { type BuiltUki, buildUki, type UkiOptions } from './uki/uki.js'
export type { Corrected } from './verity/error-correction.js'
export type { ParityPlace } from './verity/parity-file.js'
export type { HashAlgorithm, Superblock } from './verity/superblock.js'
export { openTreeFile, type TreeFile, type TreeFileOptions } from './verity/tree-file.js'
export type { BadBlocks } from './verity/verify.js'
export { type VerifiedFile, type VerifyFileOptions, verifyFile } from './verity/verify-file.js'
export type { Progress, Work } from './work.js'
