import { extentSource } from '../bytes/extents.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { type BadBlocks, verifyTree } from '../verity/verify.js'
import { type Work, workNames, workOn } from '../work.js'
import { dissect } from './dissect.js'
import type { Dissection } from './dissection.js'
import { refuseKernelTrust, refuseUncovered } from './offers.js'
import type { Image } from './open.js'
import type { ProtectedDesignator } from './root-hash-sources.js'

/** Options of {@link verify}. */
export interface VerifyOptions extends Work {
  /** Called with bad blocks as they are found. */
  readonly onBadBlocks?: (designator: ProtectedDesignator, bad: BadBlocks) => void
}
const verifyOptionNames: OptionNames<VerifyOptions> = { ...workNames, onBadBlocks: true }

/** What verifying a volume found. */
export interface VerifiedVolume {
  readonly designator: ProtectedDesignator
  /** In hexadecimal. */
  readonly rootHash: string
  readonly dataBlockSize: number
  readonly hashBlockSize: number
  readonly dataBlocks: number
  /** Of the volume, in bytes: the blocks may cover less of it. */
  readonly volumeSize: number
  readonly badDataBlocks: number
  readonly badHashBlocks: number
}

/**
 * Reads all of every volume that a root hash covers, on all cores, and compares it with its hash tree.
 * @returns how many blocks of each volume are bad; bad blocks do not make it throw
 * @throws ERR_DDI_NO_ROOT_HASH if no root hash is known, ERR_DDI_SIGNATURE_KERNEL if the kernel was to verify signatures,
 *   ERR_DDI_SIGNATURE_UNTRUSTED if signatures were requested and one is missing, ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_ABORTED
 */
export async function verify(dissection: Dissection, options: VerifyOptions = {}): Promise<readonly VerifiedVolume[]> {
  checkOptions(options, verifyOptionNames, 'verify')
  refuseKernelTrust(dissection)
  const { image } = dissection
  refuseUncovered(
    dissection,
    [...dissection.verity.values()].filter(({ trusted }) => trusted).map(({ data }) => data),
  )
  const results: VerifiedVolume[] = []
  for (const [designator, verity] of dissection.verity) {
    if (!verity.trusted) continue
    const { superblock, data, hash } = verity
    const { dataBlockSize, hashBlockSize, dataBlocks } = superblock
    const counts = await verifyTree(superblock, extentSource(image.source, data.extents), hash.source, {
      onBadBlocks: (bad) => options.onBadBlocks?.(designator, bad),
      ...workOn(designator, options),
    })
    const rootHash = Buffer.from(verity.rootHash).toString('hex')
    results.push({ designator, rootHash, dataBlockSize, hashBlockSize, dataBlocks, volumeSize: data.size, ...counts })
  }
  if (results.length === 0)
    throw new DdiError('ERR_DDI_NO_ROOT_HASH', `no root hash is known for ${image.name}${suggestion(dissection)}`)
  return results
}

/**
 * Reads all that a root hash covers.
 * @throws ERR_DDI_VERITY_CORRUPT for any bad block, what {@link dissect} throws for a root hash of another image, and as {@link verify}
 */
export async function requireRootHash(image: Image, rootHash: string, work: Work = {}): Promise<void> {
  await requireSound(await dissect(image, { rootHash }), work)
}

/** Reads all that root hashes cover. @throws ERR_DDI_VERITY_CORRUPT for any bad block, and as {@link verify} */
export async function requireSound(dissection: Dissection, work: Work = {}): Promise<void> {
  const volumes = await verify(dissection, work)
  const bad = volumes.find((one) => one.badDataBlocks + one.badHashBlocks > 0)
  if (bad)
    throw new DdiError(
      'ERR_DDI_VERITY_CORRUPT',
      `${bad.badDataBlocks} data blocks of ${bad.designator} do not match the root hash`,
    )
}

/** The partition UUIDs of a pair spell out a 256-bit root hash, which an attacker can write as easily as the image’s maker. */
function suggestion(dissection: Dissection): string {
  for (const [designator, { data, hash }] of dissection.verity) {
    if (hash.kind !== 'volume' || !data.uuid || !hash.volume.uuid) continue
    const hex = `${data.uuid}${hash.volume.uuid}`.replaceAll('-', '')
    return `. The UUIDs of its ${designator} partitions claim ${hex}: trust that only if you know it from elsewhere`
  }
  return ''
}
