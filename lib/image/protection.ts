import { extentSource } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import type { Source } from '../bytes/source.js'
import { requireWhole, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { rootHashUuids } from '../verity/root-hash.js'
import { readSuperblock, type Superblock } from '../verity/superblock.js'
import { checkRootHash, checkTreeFits } from '../verity/tree.js'
import type { DissectedVolume, HashTree, TrustedVerity, UntrustedVerity, UsableVolume, Verity } from './dissection.js'
import type { Image, TableProblem } from './open.js'
import { findRootHash, findVeritySideFile, type KnownRootHash, type ProtectedDesignator } from './root-hash-sources.js'
import { isOffered, newest, onlyOne, preferred } from './selection.js'
import { type RootHashSignature, type SignatureTrust, signatureOf, signedRootHash } from './signatures.js'

/** What a volume and its protection are chosen from. */
export interface Candidates {
  readonly image: Image
  readonly volumes: readonly DissectedVolume[]
  /** The preferred first. */
  readonly architectures: readonly string[]
}

/** The volume for a purpose that verity may protect. */
export interface Protected {
  readonly data: UsableVolume
  readonly verity: Verity | undefined
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
  const rootHash: (KnownRootHash & { signature?: RootHashSignature }) | undefined =
    known ?? (await ifValid(signedRootHash(image, sealed, trust), refused))
  const named = rootHash
    ? namedByRootHash(candidates, designator, rootHash)
    : preferred(volumes, designator, architectures)
  if (!named) return undefined
  const data = requireWhole(named)
  const pair = await pairVerity(candidates, designator, data, rootHash)
  if (!pair?.trusted) return { data, verity: pair }
  const signature =
    rootHash?.signature ?? (await ifValid(signatureOf(image, designator, pair.rootHash, sealed, trust), refused))
  return { data, verity: { ...pair, signature: signature ?? null } }
}

/** The signature volume that counts, if it is whole. */
function signatureVolume(
  { volumes, architectures }: Candidates,
  designator: ProtectedDesignator,
): WholeVolume | undefined {
  const found = preferred(volumes, `${designator}-verity-sig`, architectures)
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
  if (image.table.type === 'none') return designator === 'root' ? volumes[0] : undefined
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

/** A pair whose signature is still to be looked for. */
type Paired = UntrustedVerity | Omit<TrustedVerity, 'signature'>

async function pairVerity(
  { image, volumes }: Candidates,
  designator: ProtectedDesignator,
  data: UsableVolume,
  rootHash: KnownRootHash | undefined,
): Promise<Paired | undefined> {
  const candidates = volumes.filter(
    (one) => one.designator === `${designator}-verity` && one.architecture === data.architecture,
  )
  if (!rootHash) {
    const volume = newest(candidates.filter(isOffered))
    return volume && { trusted: false, data, hash: { kind: 'volume', volume } }
  }
  const { hash: hashUuid } = rootHashUuids(rootHash.bytes)
  const named = onlyOne(
    candidates.filter((one) => one.uuid === hashUuid),
    `${designator} hash volume`,
  )
  const volume = named && requireWhole(named)
  const hash = volume ? inVolume(image, volume) : await besideImage(image)
  if (!hash)
    throw new DdiError(
      'ERR_DDI_VERITY_MISSING',
      `${image.name} has a root hash for ${designator}, but no ${designator}-verity partition with UUID ${hashUuid}` +
        ' (its second half) and no .verity file beside it',
    )
  const superblock = await checkTree(image, data, hash.source, rootHash.bytes)
  return { trusted: true, data, hash, rootHash: rootHash.bytes, rootHashSource: rootHash.source, superblock }
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
  return superblock
}
