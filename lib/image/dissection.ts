import type { FileSystem } from '../../bindings/blkid.js'
import type { Source } from '../bytes/source.js'
import type { Volume, WholeVolume } from '../disk/volume.js'
import type { Designator } from '../gpt/dps-types.js'
import type { Superblock } from '../verity/superblock.js'
import type { TableProblem } from './contents.js'
import type { Image } from './open.js'
import type { KnownRootHash, ProtectedDesignator } from './root-hash-sources.js'
import type { KernelSignature, RootHashSignature, SignatureMode } from './signatures.js'

/** A volume with the file system in it. */
export type DissectedVolume = Volume & Probed
/** One that is whole. */
export type UsableVolume = WholeVolume & Probed

interface Probed {
  /** Null if libblkid recognises nothing; absent if it was not asked (see `DissectOptions.probe`). */
  readonly fileSystem?: FileSystem | null
}

/**
 * Where a hash tree is: in a volume of the image, in a file beside it, which is open as long as the image, or behind the data in
 * the same file.
 */
export type HashTree =
  | { readonly kind: 'volume'; readonly volume: UsableVolume; readonly source: Source }
  | { readonly kind: 'file'; readonly path: string; readonly source: Source }
  | { readonly kind: 'appended'; readonly source: Source }

/** A data volume with its hash tree. `trusted` if a trusted root hash covers it, and matches the top of the tree. */
export type Verity = UntrustedVerity | KernelVerity | TrustedVerity

export interface UntrustedVerity {
  readonly trusted: false
  readonly forKernel: false
  readonly data: UsableVolume
  readonly hash: { readonly kind: 'volume'; readonly volume: DissectedVolume }
}

/** A data volume under a root hash that matches the top of its tree. */
export interface Coverage {
  readonly data: UsableVolume
  readonly hash: HashTree
  readonly rootHash: Uint8Array
  readonly rootHashSource: KnownRootHash['source']
  readonly superblock: Superblock
  /** By what the kernel corrects blocks that do not match. */
  readonly parity?: Parity
}

/** Codes over data and hash blocks (see `coveredBlocks`). */
export interface Parity {
  /** The file that holds them. */
  readonly source: Source
  /** Where they begin in it, in blocks. */
  readonly start: number
  /** How many data and hash blocks they are over. */
  readonly blocks: number
  /** Bytes of parity of each code. */
  readonly roots: number
}

/** Nobody has verified the signature: the kernel is to, as it makes the device. Nothing else may take it for trusted. */
export interface KernelVerity extends Coverage {
  readonly trusted: false
  readonly forKernel: true
  readonly signature: KernelSignature
}

export interface TrustedVerity extends Coverage {
  readonly trusted: true
  /** Who signed the root hash; null if no trusted certificate did. */
  readonly signature: RootHashSignature | null
}

/** What the caller of `dissect` gave to trust the image by: it has to cover the volumes in use. */
export interface GivenTrust {
  /** Where the root hashes that were given come from: from the caller, or from beside the image. */
  readonly rootHashes: ReadonlyMap<ProtectedDesignator, KnownRootHash['source']>
  /** The caller named the certificates that may sign, or who verifies signatures. */
  readonly signatures: boolean
}

/** What an image is made of, and what each part is for on this machine. */
export interface Dissection {
  readonly image: Image
  readonly volumes: readonly DissectedVolume[]
  /** The volumes that this machine would use, one for each purpose; hash volumes are in `verity`. */
  readonly roles: ReadonlyMap<Designator, UsableVolume>
  readonly verity: ReadonlyMap<ProtectedDesignator, Verity>
  /**
   * Volumes that no root hash covers and that are used even if one covers another: those of the system that the policy names,
   * and others without permission to execute what is in them.
   */
  readonly exceptions: ReadonlyMap<UsableVolume, 'policy' | 'noexec'>
  /** Those whose volumes count, the preferred first. */
  readonly architectures: readonly string[]
  /** What there are volumes for that the policy leaves unused. */
  readonly unused: readonly Designator[]
  /** Who verifies signatures of root hashes: as requested from `dissect`, and kept to by `plan`. */
  readonly signature: SignatureMode
  readonly given: GivenTrust
  /** Signatures that are not valid; they grant no trust. */
  readonly problems: readonly TableProblem[]
}

/** Whether a known root hash covers a volume: one that is trusted, or that the kernel is to judge. */
export function isCovered(pair: Verity | undefined): pair is TrustedVerity | KernelVerity {
  return pair !== undefined && (pair.trusted || pair.forKernel)
}
