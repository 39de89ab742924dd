import { extentSource } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import type { Source } from '../bytes/source.js'
import { claimOfFileSystem } from '../disk/claimed-size.js'
import { requireWhole, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { rootHashUuids } from '../verity/root-hash.js'
import { readSuperblock, type Superblock } from '../verity/superblock.js'
import { checkRootHash, checkTreeFits } from '../verity/tree.js'
import type { Coverage, DissectedVolume, HashTree, UntrustedVerity, UsableVolume, Verity } from './dissection.js'
import type { Image, TableProblem } from './open.js'
import { type ImagePolicy, mayProtect } from './policy.js'
import { findRootHash, findVeritySideFile, type KnownRootHash, type ProtectedDesignator } from './root-hash-sources.js'
import { isOffered, newest, onlyOne, preferred } from './selection.js'
import {
  type KernelSignature,
  type RootHashSignature,
  type SignatureTrust,
  signatureOf,
  signedRootHash,
} from './signatures.js'

/** What a volume and its protection are chosen from. */
export interface Candidates {
  readonly image: Image
  readonly volumes: readonly DissectedVolume[]
  /** The preferred first. */
  readonly architectures: readonly string[]
  /** Which hash and signature volumes may be used. Default: all. */
  readonly policy: ImagePolicy | undefined
}

/** The volume for a purpose that verity may protect. */
export interface Protected {
  readonly data: UsableVolume
  readonly verity: Verity | undefined
  /** Where its root hash comes from, unless a signature of the image brought it. */
  readonly given: KnownRootHash['source'] | undefined
}

/**
 * Finds the volume for root or usr and what protects it: by the UUIDs that a known root hash spells, else the preferred one.
 * @param given the root hash from the caller, in hexadecimal
 * @param report called with signatures that are not valid
 * @returns undefined if there is no such volume
 * @throws the codes of root hashes, hash trees and broken volumes that `dissect` lists
 */
export async function findProtected(
  candidates: Candidates,
  designator: ProtectedDesignator,
  given: string | undefined,
  trust: SignatureTrust,
  report: (problem: TableProblem) => void,
): Promise<Protected | undefined> {
  const { image, volumes, architectures } = candidates
  const sealed = signatureVolume(candidates, designator)
  const refused = ({ code, message }: DdiError) => report({ code, message: `${designator}: ${message}` })
  const known = await findRootHash(image.path, designator, given)
  const rootHash: (KnownRootHash & { signature?: RootHashSignature | KernelSignature }) | undefined =
    known ?? (await ifValid(signedRootHash(image, sealed, trust), refused))
  const named = rootHash
    ? namedByRootHash(candidates, designator, rootHash)
    : preferred(volumes, designator, architectures)
  if (!named) return undefined
  const data = requireWhole(named)
  const pair = await pairVerity(candidates, designator, data, rootHash)
  if (!pair || 'trusted' in pair) return { data, verity: pair, given: known?.source }
  const signature =
    rootHash?.signature ??
    (await ifValid(signatureOf(image, designator, pair.rootHash, sealed, trust), refused)) ??
    null
  const verity: Verity =
    signature?.signer === null
      ? { ...pair, trusted: false, forKernel: true, signature }
      : { ...pair, trusted: true, signature }
  return { data, verity, given: known?.source }
}

/** The signature volume that counts, if it is whole. */
function signatureVolume(
  { volumes, architectures, policy }: Candidates,
  designator: ProtectedDesignator,
): WholeVolume | undefined {
  const kind = `${designator}-verity-sig` as const
  const found = mayProtect(policy, kind) ? preferred(volumes, kind, architectures) : undefined
  return found?.state === 'whole' ? found : undefined
}

/** An invalid signature is reported, and grants no trust. */
async function ifValid<Value>(
  work: Promise<Value | undefined>,
  refused: (error: DdiError) => void,
): Promise<Value | undefined> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof DdiError) || !error.code.startsWith('ERR_DDI_SIGNATURE_')) throw error
    refused(error)
    return undefined
  }
}

/** Where a root hash came from, for an error about it. */
const origins: Readonly<Record<KnownRootHash['source'], string>> = {
  option: '',
  file: ' (from the file beside it)',
  'extended-attribute': ' (from its extended attribute)',
  signature: ' (from its signature)',
}

function namedByRootHash(
  { image, volumes }: Candidates,
  designator: ProtectedDesignator,
  rootHash: KnownRootHash,
): DissectedVolume | undefined {
  if (image.table.type === 'none') {
    if (designator === 'root') return volumes[0]
    throw new DdiError(
      'ERR_DDI_ROOT_HASH_MISMATCH',
      `${image.name} has no partition table, and so no ${designator} volume for the ${designator} root hash${origins[rootHash.source]}`,
    )
  }
  const { data } = rootHashUuids(rootHash.bytes)
  const found = onlyOne(
    volumes.filter((one) => one.designator === designator && one.uuid === data),
    `${designator} volume`,
  )
  if (!found)
    throw new DdiError(
      'ERR_DDI_ROOT_HASH_MISMATCH',
      `${image.name} has no ${designator} partition with UUID ${data}, the first half of the root hash` +
        `${origins[rootHash.source]}: wrong root hash, or another image`,
    )
  return found
}

async function pairVerity(
  { image, volumes, policy }: Candidates,
  designator: ProtectedDesignator,
  data: UsableVolume,
  rootHash: KnownRootHash | undefined,
): Promise<UntrustedVerity | Coverage | undefined> {
  const candidates = volumes.filter(
    (one) => one.designator === `${designator}-verity` && one.architecture === data.architecture,
  )
  if (!rootHash) {
    const volume = newest(candidates.filter(isOffered))
    return volume && untrusted(data, volume)
  }
  const { hash: hashUuid } = rootHashUuids(rootHash.bytes)
  const named = onlyOne(
    candidates.filter((one) => one.uuid === hashUuid),
    `${designator} hash volume`,
  )
  const volume = named && mayProtect(policy, `${designator}-verity`) ? requireWhole(named) : undefined
  const hash = volume ? inVolume(image, volume) : await besideImage(image)
  if (!hash && named) return untrusted(data, named)
  if (!hash)
    throw new DdiError(
      'ERR_DDI_VERITY_MISSING',
      `${image.name} has a root hash for ${designator}, but no ${designator}-verity partition with UUID ${hashUuid}` +
        ' (its second half) and no .verity file beside it',
    )
  const superblock = await checkTree(image, data, hash.source, rootHash.bytes)
  return { data, hash, rootHash: rootHash.bytes, rootHashSource: rootHash.source, superblock }
}

function untrusted(data: UsableVolume, volume: DissectedVolume): UntrustedVerity {
  return { trusted: false, forKernel: false, data, hash: { kind: 'volume', volume } }
}

function inVolume({ source }: Image, volume: UsableVolume): HashTree {
  return { kind: 'volume', volume, source: extentSource(source, volume.extents) }
}

async function besideImage(image: Image): Promise<HashTree | undefined> {
  const path = image.path === null ? undefined : await findVeritySideFile(image.path)
  if (path === undefined) return undefined
  const source = await openFile(path)
  image.keepOpen(source)
  return { kind: 'file', path, source }
}

async function checkTree(image: Image, data: UsableVolume, hash: Source, rootHash: Uint8Array): Promise<Superblock> {
  const source = extentSource(image.source, data.extents)
  const superblock = await readSuperblock(hash)
  checkTreeFits(superblock, source.size, hash.size)
  await checkRootHash(superblock, source, hash, rootHash)
  await checkFileSystemFits(image, superblock, source)
  return superblock
}

/** A root hash does not say how much of a volume its tree covers. @throws ERR_DDI_VERITY_SUPERBLOCK if a file system would be cut off */
async function checkFileSystemFits({ name }: Image, superblock: Superblock, data: Source): Promise<void> {
  const covered = superblock.dataBlocks * superblock.dataBlockSize
  const claimed = covered < data.size ? ((await claimOfFileSystem(data))?.size ?? 0) : 0
  if (claimed > covered)
    throw new DdiError(
      'ERR_DDI_VERITY_SUPERBLOCK',
      `${name}: verity superblock: it covers ${covered} bytes of ${data.size}, and the file system in them has ${claimed}: it was changed`,
    )
}
