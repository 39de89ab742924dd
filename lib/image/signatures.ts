import type { X509Certificate } from 'node:crypto'
import { extentSource } from '../bytes/extents.js'
import { readIfThere } from '../bytes/small-file.js'
import type { WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import {
  certificateFingerprint,
  largestRecord,
  parseSignatureRecord,
  refuseWeakSignature,
  type SignatureRecord,
  verifyRootHashSignature,
} from '../verity/signature.js'
import type { Image } from './open.js'
import { type KnownRootHash, type ProtectedDesignator, rootHashEndings, sideFiles } from './root-hash-sources.js'

/** Who verifies the signature of a root hash: this library, the kernel as the device is made, both, or whichever can. */
export const signatureModes = ['auto', 'userspace', 'kernel', 'both'] as const
/** Who verifies the signature of a root hash. */
export type SignatureMode = (typeof signatureModes)[number]

/** A signature of a root hash that the kernel alone is to verify: nobody knows yet whose it is. */
export interface KernelSignature {
  /** PKCS#7, DER. */
  readonly bytes: Uint8Array
  readonly signer: null
}

/** A signature of a root hash that is valid. */
export interface RootHashSignature {
  /** PKCS#7, DER. */
  readonly bytes: Uint8Array
  /** SHA-256 of the signer’s certificate. */
  readonly signer: string
}

export interface SignatureTrust {
  readonly mode: SignatureMode
  readonly certificates: () => Promise<readonly X509Certificate[]>
  readonly now: Date
}

/** Reads the record of a signature volume. @throws ERR_DDI_SIGNATURE_FORMAT */
async function readRecord({ source }: Image, volume: WholeVolume): Promise<SignatureRecord> {
  if (volume.size > largestRecord)
    throw new DdiError(
      'ERR_DDI_SIGNATURE_FORMAT',
      `root hash signature: its volume has ${volume.size} bytes; a record has at most ${largestRecord}`,
    )
  return parseSignatureRecord(await extentSource(source, volume.extents).read(0, volume.size))
}

/** @throws ERR_DDI_SIGNATURE_… if it is not a trusted one of this root hash */
export async function checkSignature(
  rootHash: Uint8Array,
  bytes: Uint8Array,
  trust: SignatureTrust,
): Promise<RootHashSignature | KernelSignature> {
  if (trust.mode === 'kernel') {
    await refuseWeakSignature(bytes)
    return { bytes, signer: null }
  }
  const signer = await verifyRootHashSignature(rootHash, bytes, await trust.certificates(), trust.now)
  return { bytes, signer: certificateFingerprint(signer) }
}

/** A root hash that a signature of the image vouches for. */
export interface SignedRootHash extends KnownRootHash {
  readonly signature: RootHashSignature | KernelSignature
}

/**
 * The root hash in a signature volume, if a trusted certificate signed it.
 * @param volume the signature volume
 * @param wanted the root hash whose signature is looked for. Default: any
 * @returns undefined if the volume has the signature of another one
 * @throws ERR_DDI_SIGNATURE_…, if its signature is not valid
 */
export async function signedRootHash(
  image: Image,
  volume: WholeVolume,
  trust: SignatureTrust,
  wanted?: Uint8Array,
): Promise<SignedRootHash | undefined> {
  const { rootHash, signature } = await readRecord(image, volume)
  if (wanted && !Buffer.from(rootHash).equals(wanted)) return undefined
  return { bytes: rootHash, source: 'signature', signature: await checkSignature(rootHash, signature, trust) }
}

/**
 * The signature of a root hash in a file beside the image.
 * @throws ERR_DDI_SIGNATURE_…, if there is one that is not valid
 */
export async function signatureBeside(
  image: Image,
  designator: ProtectedDesignator,
  rootHash: Uint8Array,
  trust: SignatureTrust,
): Promise<RootHashSignature | KernelSignature | undefined> {
  const files = image.path === null ? [] : sideFiles(image.path, `${rootHashEndings[designator]}.p7s`)
  for (const path of files) {
    const signature = await readIfThere(path)
    if (signature !== undefined) return await checkSignature(rootHash, signature, trust)
  }
  return undefined
}
