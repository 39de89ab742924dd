import { requireWhole } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { type DissectedVolume, type Dissection, isCovered, type UsableVolume, type Verity } from './dissection.js'
import type { Candidates } from './pairs.js'
import { type ImagePolicy, policyFor } from './policy.js'
import { findProtected } from './protection.js'
import type { KnownRootHash, ProtectedDesignator } from './root-hash-sources.js'
import { filled, isOffered, newest } from './selection.js'
import type { SignatureTrust } from './signatures.js'

/** What the caller gave to cover volumes by. */
export interface GivenHashes {
  /** The trusted root hash of the root volume, in hexadecimal. Default: from beside the image. */
  readonly rootHash?: string
  /** The same for /usr. */
  readonly usrHash?: string
  /** Path of the file with the hash tree of the volume that the root hash is of. Default: a partition, or from beside the image. */
  readonly verityData?: string
  /** Signature of the root hash that is given: PKCS#7, DER. Default: from beside the image, or in it. */
  readonly rootHashSignature?: Uint8Array
}

/** The roles that verity may protect, and what protects them. @throws ERR_DDI_USAGE for a tree or a signature that nothing uses */
export async function assignProtectedRoles(
  candidates: Candidates,
  roles: Map<Designator, UsableVolume>,
  { rootHash, usrHash, verityData, rootHashSignature }: GivenHashes,
  trust: SignatureTrust,
) {
  const verity = new Map<ProtectedDesignator, Verity>()
  const rootHashes = new Map<ProtectedDesignator, KnownRootHash['source']>()
  const beside = { tree: verityData, signature: rootHashSignature }
  const besideOf = rootHash === undefined && usrHash !== undefined ? 'usr' : 'root'
  const givenHashes = { root: rootHash, usr: usrHash }
  for (const designator of ['root', 'usr'] as const) {
    const given = { rootHash: givenHashes[designator], ...(designator === besideOf && beside) }
    const found = await findProtected(candidates, designator, given, trust)
    if (!found) continue
    roles.set(designator, found.data)
    if (found.verity) verity.set(designator, found.verity)
    if (found.given) rootHashes.set(designator, found.given)
  }
  const pair = verity.get(besideOf)
  if ((verityData !== undefined && !isCovered(pair)) || (rootHashSignature && !(pair && rootHashes.has(besideOf))))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `${candidates.image.name}: a hash tree or signature was given, and no root hash of the ${besideOf} volume that it belongs to`,
    )
  return { verity, rootHashes }
}

const plainRoles = ['home', 'srv', 'var', 'tmp', 'esp', 'xbootldr', 'swap'] as const satisfies readonly Designator[]

/** The roles that no verity protects; a single generic Linux partition, or the only active one of an MBR, is the root if there is none. */
export function assignPlainRoles(volumes: readonly DissectedVolume[], roles: Map<Designator, UsableVolume>): void {
  for (const designator of plainRoles) {
    const volume = newest(filled(volumes.filter((one) => one.designator === designator && isOffered(one))))
    if (volume) roles.set(designator, requireWhole(volume))
  }
  if (roles.has('root')) return
  const generics = volumes.filter((one) => one.designator === 'linux-generic' && isOffered(one))
  const active = generics.filter(({ origin }) => origin.kind === 'mbr-partition' && origin.active)
  const [generic, second] = active.length > 0 ? active : generics
  if (generic && !second) roles.set('root', requireWhole(generic))
}

/**
 * Where a root hash covers one volume, nothing in those that none covers is to be executed. Of the system, that may be a root beside a
 * covered /usr: it is made at the first boot, written or encrypted. A policy that does not want a volume of the system covered is
 * obeyed; what it says of others cannot be that they may hold programs.
 */
export function exceptionsOf(
  volumes: readonly DissectedVolume[],
  roles: Map<Designator, UsableVolume>,
  verity: ReadonlyMap<ProtectedDesignator, Verity>,
  { policy, strict }: { readonly policy: ImagePolicy | undefined; readonly strict: boolean },
): Dissection['exceptions'] {
  const exceptions = new Map<UsableVolume, 'policy' | 'noexec'>()
  for (const designator of ['root', 'usr'] as const) {
    const volume = roles.get(designator)
    if (!volume || isCovered(verity.get(designator))) continue
    const isNamed = policy !== undefined && isWantedUncovered(policy, designator)
    const isBesideUsr = designator === 'root' && isCovered(verity.get('usr'))
    if (!strict && isNamed) exceptions.set(volume, 'policy')
    else if (!strict && isBesideUsr) exceptions.set(volume, 'noexec')
    // What the policy wants, and strictness forbids, is refused later.
    else if (isBesideUsr && !isNamed) roles.delete('root')
  }
  if ([...verity.values()].some(isCovered))
    for (const volume of dataVolumes(volumes, roles)) exceptions.set(volume, 'noexec')
  return exceptions
}

/** What may hold files, and does not belong to the system. */
function dataVolumes(
  volumes: readonly DissectedVolume[],
  roles: ReadonlyMap<Designator, UsableVolume>,
): readonly UsableVolume[] {
  const systems: readonly (DissectedVolume | undefined)[] = [roles.get('root'), roles.get('usr')]
  return volumes.filter(
    (one): one is UsableVolume =>
      one.state === 'whole' &&
      !/^(?:root|usr|swap)$|-verity(?:-sig)?$/.test(one.designator ?? '') &&
      !systems.includes(one),
  )
}

/** A rule of its own for a volume that is not covered; one that takes it either way leaves open how it is used. */
function isWantedUncovered(policy: ImagePolicy, designator: ProtectedDesignator): boolean {
  const { use } = policyFor(policy, designator)
  return policy.partitions.has(designator) && !use.includes('verity') && !use.includes('signed')
}
