import { requireWhole, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Coverage, UsableVolume, Verity } from './dissection.js'
import { type Candidates, hashVolumes, namedByRootHash, pairVerity, untrusted } from './pairs.js'
import { mayProtect } from './policy.js'
import { findRootHash, type KnownRootHash, type ProtectedDesignator } from './root-hash-sources.js'
import { filled, isOffered, newest, preferred, preferredFilled, ranked } from './selection.js'
import {
  checkSignature,
  type KernelSignature,
  type RootHashSignature,
  type SignatureTrust,
  signatureBeside,
  signedRootHash,
} from './signatures.js'

/** What the caller gave to trust a volume by. */
export interface GivenProtection {
  /** The root hash, in hexadecimal. */
  readonly rootHash?: string | undefined
  /** Path of the file with the hash tree. */
  readonly tree?: string | undefined
  /** Of the root hash: PKCS#7, DER. */
  readonly signature?: Uint8Array | undefined
}

/** The volume for a purpose that verity may protect. */
export interface Protected {
  readonly data: UsableVolume
  readonly verity: Verity | undefined
  /** Where its root hash comes from, unless a signature of the image brought it. */
  readonly given: KnownRootHash['source'] | undefined
}

/**
 * Finds the volume for root or usr and what protects it: by the UUIDs that a known root hash spells, else the preferred one of
 * those that a signature of the image vouches for, else the preferred one.
 * @returns undefined if there is no such volume
 * @throws the codes of root hashes, hash trees and broken volumes that `dissect` lists
 */
export async function findProtected(
  candidates: Candidates,
  designator: ProtectedDesignator,
  given: GivenProtection,
  trust: SignatureTrust,
): Promise<Protected | undefined> {
  const { image, volumes, architectures } = candidates
  const known = await findRootHash(image.path, designator, given.rootHash)
  if (!known) {
    const signed = await findSigned(candidates, designator, given, trust)
    if (signed) return signed
    const named = preferredFilled(volumes, designator, architectures)
    if (!named) return undefined
    const data = requireWhole(named)
    const hash = newest(filled(hashVolumes(candidates, designator, data).filter(isOffered)))
    return { data, verity: hash && untrusted(data, hash), given: undefined }
  }
  const data = requireWhole(namedByRootHash(candidates, designator, known))
  const pair = await pairVerity(candidates, designator, data, known, given.tree)
  if ('trusted' in pair) return { data, verity: pair, given: known.source }
  const signature = given.signature
    ? await checkSignature(known.bytes, given.signature, trust)
    : await findSignature(candidates, designator, known.bytes, trust)
  return { data, verity: vouchedFor(pair, signature ?? null), given: known.source }
}

/** What nobody has verified yet is for the kernel to judge. */
function vouchedFor(pair: Coverage, signature: RootHashSignature | KernelSignature | null): Verity {
  return signature?.signer === null
    ? { ...pair, trusted: false, forKernel: true, signature }
    : { ...pair, trusted: true, signature }
}

/**
 * The preferred of the volumes whose root hash is signed, and whose data and tree are there: of one that an update has not
 * written yet, the signature may be.
 * @throws what is wrong with the first of them if none is whole
 */
async function findSigned(
  candidates: Candidates,
  designator: ProtectedDesignator,
  { tree }: GivenProtection,
  trust: SignatureTrust,
): Promise<Protected | undefined> {
  const { image, architectures, report } = candidates
  const found = new Map<UsableVolume, Verity>()
  const broken: DdiError[] = []
  for (const volume of signatureVolumes(candidates, designator)) {
    const signed = await ifValid(signedRootHash(image, volume, trust), candidates, describe(volume))
    if (!signed) continue
    try {
      const data = requireWhole(namedByRootHash(candidates, designator, signed))
      const pair = await pairVerity(candidates, designator, data, signed, tree)
      if (!('trusted' in pair)) found.set(data, vouchedFor(pair, signed.signature))
    } catch (error) {
      if (!(error instanceof DdiError) || error.kind !== 'image') throw error
      broken.push(error)
    }
  }
  const data = preferred([...found.keys()], designator, architectures)
  const [first] = broken
  if (!data && first) throw first
  for (const { code, message } of broken) report({ code, message })
  return data && { data, verity: found.get(data)!, given: undefined }
}

/** A valid signature of a root hash: beside the image, or in it. */
async function findSignature(
  candidates: Candidates,
  designator: ProtectedDesignator,
  rootHash: Uint8Array,
  trust: SignatureTrust,
): Promise<RootHashSignature | KernelSignature | undefined> {
  const { image } = candidates
  const beside = await ifValid(signatureBeside(image, designator, rootHash, trust), candidates, designator)
  if (beside) return beside
  for (const volume of signatureVolumes(candidates, designator)) {
    const signed = await ifValid(signedRootHash(image, volume, trust, rootHash), candidates, describe(volume))
    if (signed) return signed.signature
  }
  return undefined
}

/** An image alone does not decide how many signatures we verify. */
const mostSignatures = 32

/** The signature volumes that may count, the preferred first. */
function signatureVolumes(
  { volumes, architectures, policy }: Candidates,
  designator: ProtectedDesignator,
): readonly WholeVolume[] {
  const kind = `${designator}-verity-sig` as const
  const found = mayProtect(policy, kind) ? ranked(volumes, kind, architectures) : []
  return found.flatMap((one) => (one.state === 'whole' ? [one] : [])).slice(0, mostSignatures)
}

function describe({ designator, label }: WholeVolume): string {
  return label ? `${designator} ${JSON.stringify(label)}` : `${designator}`
}

/** An invalid signature is reported, and grants no trust. @param what is signed, or holds the signature */
async function ifValid<Value>(
  work: Promise<Value | undefined>,
  { report }: Candidates,
  what: string,
): Promise<Value | undefined> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof DdiError) || !error.code.startsWith('ERR_DDI_SIGNATURE_')) throw error
    report({ code: error.code, message: `${what}: ${error.message}` })
    return undefined
  }
}
