import { requireWhole } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { rootHashUuids } from '../verity/root-hash.js'
import type { TableProblem } from './contents.js'
import type { Coverage, DissectedVolume, UntrustedVerity, UsableVolume } from './dissection.js'
import { checkTree, inFile, inVolume, outsideTable } from './hash-tree.js'
import type { Image } from './open.js'
import { type ImagePolicy, mayProtect } from './policy.js'
import type { KnownRootHash, ProtectedDesignator } from './root-hash-sources.js'
import { onlyOne } from './selection.js'

/** What a volume and its protection are chosen from. */
export interface Candidates {
  readonly image: Image
  readonly volumes: readonly DissectedVolume[]
  /** The preferred first. */
  readonly architectures: readonly string[]
  /** Which hash and signature volumes may be used. Default: all. */
  readonly policy: ImagePolicy | undefined
  /** Called with what is not valid and does not count. */
  readonly report: (problem: TableProblem) => void
}

/** Where a root hash came from, for an error about it. */
const origins: Readonly<Record<KnownRootHash['source'], string>> = {
  option: '',
  file: ' (from the file beside it)',
  'extended-attribute': ' (from its extended attribute)',
  signature: ' (from its signature)',
}

/**
 * The volume whose UUID a root hash spells.
 * @throws ERR_DDI_ROOT_HASH_MISMATCH, ERR_DDI_GPT_DUPLICATE_UUID
 */
export function namedByRootHash(
  { image, volumes }: Candidates,
  designator: ProtectedDesignator,
  rootHash: KnownRootHash,
): DissectedVolume {
  const [whole] = volumes
  if (image.table.type === 'none') {
    if (designator === 'root' && whole) return whole
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

/** The volumes that may hold the hash tree of a data volume. */
export function hashVolumes(
  { volumes }: Candidates,
  designator: ProtectedDesignator,
  data: UsableVolume,
): readonly DissectedVolume[] {
  return volumes.filter((one) => one.designator === `${designator}-verity` && one.architecture === data.architecture)
}

/**
 * A data volume with the tree that a root hash names: in a given file, in the volume whose UUID it spells, beside the image or
 * behind the data.
 * @param treePath of a file that holds the tree, whatever the image holds
 * @throws ERR_DDI_VERITY_MISSING, and the codes of hash trees
 */
export async function pairVerity(
  candidates: Candidates,
  designator: ProtectedDesignator,
  data: UsableVolume,
  rootHash: KnownRootHash,
  treePath: string | undefined,
): Promise<UntrustedVerity | Coverage> {
  const { image, policy } = candidates
  const { hash: hashUuid } = rootHashUuids(rootHash.bytes)
  const named = onlyOne(
    hashVolumes(candidates, designator, data).filter((one) => one.uuid === hashUuid),
    `${designator} hash volume`,
  )
  const volume = named && mayProtect(policy, `${designator}-verity`) ? requireWhole(named) : undefined
  const hash =
    treePath !== undefined
      ? await inFile(image, treePath)
      : volume
        ? inVolume(image, volume)
        : await outsideTable(image, data, rootHash.bytes)
  if (!hash && named) return untrusted(data, named)
  if (!hash)
    throw new DdiError(
      'ERR_DDI_VERITY_MISSING',
      `${image.name} has a root hash for ${designator}, but ${
        image.table.type === 'none'
          ? 'no hash tree behind its data'
          : `no ${designator}-verity partition with UUID ${hashUuid} (its second half)`
      } and no .verity file beside it`,
    )
  const superblock = await checkTree(image, data, hash.source, rootHash.bytes)
  return { data, hash, rootHash: rootHash.bytes, rootHashSource: rootHash.source, superblock }
}

/** A data volume with what may be its tree: no root hash is known. */
export function untrusted(data: UsableVolume, volume: DissectedVolume): UntrustedVerity {
  return { trusted: false, forKernel: false, data, hash: { kind: 'volume', volume } }
}
