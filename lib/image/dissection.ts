import type { FileSystem } from '../../bindings/blkid.js'
import type { Source } from '../bytes/source.js'
import type { Volume, WholeVolume } from '../disk/volume.js'
import type { Designator } from '../gpt/dps-types.js'
import type { Superblock } from '../verity/superblock.js'
import type { Image, TableProblem } from './open.js'
import type { KnownRootHash, ProtectedDesignator } from './root-hash-sources.js'
import type { RootHashSignature, SignatureMode } from './signatures.js'

export type DissectedVolume = Volume & Probed
/** One that is whole. */
export type UsableVolume = WholeVolume & Probed

interface Probed {
  /** Null if libblkid recognises nothing; absent if it was not asked (see `DissectOptions.probe`). */
  readonly fileSystem?: FileSystem | null
}

/** Where a hash tree is: in a volume of the image, or in a file beside it, which is open as long as the image. */
export type HashTree =
  | { readonly kind: 'volume'; readonly volume: UsableVolume; readonly source: Source }
  | { readonly kind: 'file'; readonly path: string; readonly source: Source }

/** A data volume with its hash tree. `trusted` if a trusted root hash covers it, and matches the top of the tree. */
export type Verity = UntrustedVerity | TrustedVerity

export interface UntrustedVerity {
  readonly trusted: false
  readonly data: UsableVolume
  readonly hash: { readonly kind: 'volume'; readonly volume: DissectedVolume }
}

export interface TrustedVerity {
  readonly trusted: true
  readonly data: UsableVolume
  readonly hash: HashTree
  readonly rootHash: Uint8Array
  readonly rootHashSource: KnownRootHash['source']
  /** Who signed the root hash; null if no trusted certificate did. */
  readonly signature: RootHashSignature | null
  readonly superblock: Superblock
}

/** What an image is made of, and what each part is for on this machine. */
export interface Dissection {
  readonly image: Image
  readonly volumes: readonly DissectedVolume[]
  /** The volumes that this machine would use, one for each purpose; hash volumes are in `verity`. */
  readonly roles: ReadonlyMap<Designator, UsableVolume>
  readonly verity: ReadonlyMap<ProtectedDesignator, Verity>
  /** Who verifies signatures of root hashes: as requested from `dissect`, and kept to by `plan`. */
  readonly signature: SignatureMode
  /** Signatures that are not valid; they grant no trust. */
  readonly problems: readonly TableProblem[]
}
