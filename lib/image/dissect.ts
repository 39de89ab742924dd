import type { X509Certificate } from 'node:crypto'
import { type FileSystem, probeBytes, probeFileSystem } from '../../bindings/blkid.js'
import { extentSource } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { locate, type Source } from '../bytes/source.js'
import { foundExtents, requireWhole, type Volume, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import type { OptionNames } from '../options.js'
import { rootHashUuids } from '../verity/root-hash.js'
import { readSuperblock, type Superblock } from '../verity/superblock.js'
import { checkRootHash, checkTreeFits } from '../verity/tree.js'
import { compareVersions } from '../version.js'
import { machineArchitectures } from './architecture.js'
import { trustedCertificates } from './certificates.js'
import type { Image, TableProblem } from './open.js'
import { type ImagePolicy, judge, type PolicySubject, policyDesignators } from './policy.js'
import { findRootHash, findVeritySideFile, type KnownRootHash, type ProtectedDesignator } from './root-hash-sources.js'
import {
  type RootHashSignature,
  type SignatureMode,
  type SignatureTrust,
  signatureOf,
  signedRootHash,
} from './signatures.js'

export interface DissectOptions {
  /** The trusted root hash of the root volume, in hexadecimal. Default: from beside the image. */
  readonly rootHash?: string
  /** The same for /usr. */
  readonly usrHash?: string
  /** Architectures whose volumes count, the preferred first (`x86-64`). Default: this machine’s. */
  readonly architectures?: readonly string[]
  /** What the image has to be, and what of it is used. Default: whatever it is. */
  readonly policy?: ImagePolicy
  /** Certificates that may sign root hashes. Default: those of verity.d(5), see `trustedCertificates`. */
  readonly certificates?: readonly X509Certificate[]
  /** Who verifies signatures of root hashes. Default: auto. */
  readonly signature?: SignatureMode
  /** Of which volumes libblkid tells the file system: all, or those that this machine would use. Default: all. */
  readonly probe?: 'all' | 'used'
}
export const dissectOptionNames: OptionNames<DissectOptions> = {
  rootHash: true,
  usrHash: true,
  architectures: true,
  policy: true,
  certificates: true,
  signature: true,
  probe: true,
}

/** Where a hash tree is: in a volume of the image, or in a file beside it, which is open as long as the image. */
export type HashTree =
  | { readonly kind: 'volume'; readonly volume: UsableVolume; readonly source: Source }
  | { readonly kind: 'file'; readonly path: string; readonly source: Source }

/** A data volume with its hash tree. `trusted` where a root hash vouches for it, which the top of the tree matches. */
export type Verity =
  | {
      readonly trusted: false
      readonly data: UsableVolume
      readonly hash: { readonly kind: 'volume'; readonly volume: DissectedVolume }
    }
  | {
      readonly trusted: true
      readonly data: UsableVolume
      readonly hash: HashTree
      readonly rootHash: Uint8Array
      readonly rootHashSource: KnownRootHash['source']
      /** Who signed the root hash; null where nobody did whom we trust. */
      readonly signature: RootHashSignature | null
      readonly superblock: Superblock
    }

export type DissectedVolume = Volume & Probed
/** One that can be used. */
export type UsableVolume = WholeVolume & Probed

interface Probed {
  /** Null where libblkid recognises nothing; absent where it was not asked (see {@link DissectOptions.probe}). */
  readonly fileSystem?: FileSystem | null
}

/** What is told of a volume that is still to be probed. */
interface Probing {
  fileSystem?: FileSystem | null
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
  /** Signatures that do not hold: what they would vouch for is not trusted for their sake. */
  readonly problems: readonly TableProblem[]
}

const plainRoles = ['home', 'srv', 'var', 'tmp', 'esp', 'xbootldr', 'swap'] as const satisfies readonly Designator[]
/** systemd-repart and systemd-sysupdate label so what holds nothing yet. */
const emptyLabel = '_empty'

/**
 * Says what each volume of an image is for (Discoverable Partitions Specification): this machine’s architecture first,
 * the newest version of the label where several compete, and by its UUIDs what a root hash names. Every root hash that
 * is known is checked against the top of its tree here.
 * @throws ERR_DDI_NO_TABLE for an image with neither table nor file system; ERR_DDI_ROOT_HASH_FORMAT,
 *   ERR_DDI_ROOT_HASH_FILE, ERR_DDI_ROOT_HASH_MISMATCH, ERR_DDI_ROOT_HASH_WRONG, ERR_DDI_VERITY_MISSING,
 *   ERR_DDI_VERITY_SUPERBLOCK, ERR_DDI_VERITY_ALGORITHM, ERR_DDI_LIBRARY_MISSING, ERR_DDI_POLICY, ERR_DDI_CERTIFICATE
 */
export async function dissect(image: Image, options: DissectOptions = {}): Promise<Dissection> {
  const volumes: (Volume & Probing)[] = image.volumes.map((volume) => ({ ...volume }))
  const architectures = options.architectures ?? machineArchitectures()
  const roles = new Map<Designator, WholeVolume & Probing>()
  const unsigned: TableProblem[] = []
  const trust: SignatureTrust = {
    mode: options.signature ?? 'auto',
    certificates: async () => options.certificates ?? (await trustedCertificates()),
    now: new Date(),
  }
  const verity = new Map<ProtectedDesignator, Verity>()
  for (const designator of ['root', 'usr'] as const) {
    const given = designator === 'root' ? options.rootHash : options.usrHash
    const sealed = signatureVolume(volumes, designator, architectures)
    const problems: DdiError[] = []
    const known = await findRootHash(image.path, designator, given)
    const rootHash: (KnownRootHash & { signature?: RootHashSignature }) | undefined =
      known ?? (await holding(signedRootHash(image, sealed, trust), problems))
    const named = rootHash
      ? namedByRootHash(image, volumes, designator, rootHash)
      : preferred(volumes, designator, architectures)
    if (!named) continue
    const data = requireWhole(named)
    roles.set(designator, data)
    const pair = await pairVerity(image, volumes, designator, data, rootHash)
    if (pair?.trusted) {
      const signature =
        rootHash?.signature ?? (await holding(signatureOf(image, designator, pair.rootHash, sealed, trust), problems))
      verity.set(designator, { ...pair, signature: signature ?? null })
    } else if (pair) verity.set(designator, pair)
    unsigned.push(...problems.map(({ code, message }) => ({ code, message: `${designator}: ${message}` })))
  }
  for (const designator of plainRoles) {
    const volume = newest(volumes.filter((one) => one.designator === designator && isOffered(one)))
    if (!volume) continue
    roles.set(designator, requireWhole(volume))
  }
  if (!roles.has('root')) {
    const generic = volumes.filter((one) => one.designator === 'linux-generic' && isOffered(one))
    if (generic.length === 1) roles.set('root', requireWhole(generic[0]!))
  }
  for (const volume of options.probe === 'used' ? roles.values() : volumes)
    volume.fileSystem = await probe(image, volume)
  if (options.policy) applyPolicy(options.policy, image, volumes, roles, verity, architectures)
  // Bytes that a root hash vouches for need not be of a kind that we know.
  const known = verity.get('root')?.trusted || volumes.some(({ fileSystem }) => fileSystem)
  if (image.table.type === 'none' && !known)
    throw new DdiError('ERR_DDI_NO_TABLE', `${image.name} has neither a GPT nor a file system that libblkid knows`)
  return { image, volumes, roles, verity, signature: trust.mode, problems: unsigned }
}

/** The signature volume that counts, if it is whole. */
function signatureVolume(
  volumes: readonly Volume[],
  designator: ProtectedDesignator,
  architectures: readonly string[],
): WholeVolume | undefined {
  const found = preferred(volumes, `${designator}-verity-sig`, architectures)
  return found?.state === 'whole' ? found : undefined
}

/** A signature that does not hold is told, and then not there. */
async function holding<Value>(work: Promise<Value | undefined>, problems: DdiError[]): Promise<Value | undefined> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof DdiError) || !error.code.startsWith('ERR_DDI_SIGNATURE_')) throw error
    problems.push(error)
    return undefined
  }
}

/** Takes away what a policy says is not to be used. @throws ERR_DDI_POLICY */
function applyPolicy(
  policy: ImagePolicy,
  { name: path }: Image,
  volumes: readonly DissectedVolume[],
  roles: Map<Designator, UsableVolume>,
  verity: Map<ProtectedDesignator, Verity>,
  architectures: readonly string[],
): void {
  for (const designator of policyDesignators) {
    // What protects root and usr may lie beside the image: where no rule is for its partition, `signed` and `verity` say enough.
    const isProtection = /-verity(-sig)?$/.test(designator)
    if (isProtection && !policy.partitions.has(designator)) continue
    const used = roles.get(designator)
    const protection = isProtection ? preferred(volumes, designator, architectures) : undefined
    const volume = used ?? protection
    const pair = designator === 'root' || designator === 'usr' ? verity.get(designator) : undefined
    const subject = volume && {
      protections: protectionsOf(volume, pair),
      readOnly: volume.flags.readOnly,
      growFileSystem: volume.flags.growFileSystem,
      fileSystem: volume.fileSystem?.type ?? null,
    }
    if (judge(policy, designator, subject, path)) continue
    roles.delete(designator)
    if (pair) verity.delete(designator as ProtectedDesignator)
  }
}

function protectionsOf({ fileSystem }: DissectedVolume, pair: Verity | undefined): PolicySubject['protections'] {
  if (pair?.trusted) return pair.signature ? ['signed', 'verity', 'unprotected'] : ['verity', 'unprotected']
  return fileSystem?.type === 'crypto_LUKS' ? ['encrypted'] : ['unprotected']
}

/** No superblock lies further from the start of its file system. */
const superblocks = 1024 * 1024

async function probe({ name, source }: Image, found: Volume): Promise<FileSystem | null> {
  const { size } = found
  if (size === 0) return null
  const volume = extentSource(source, foundExtents(found))
  const [first, second] = locate(volume) ?? []
  if (first?.kind === 'linear' && (!second || first.length >= superblocks))
    return probeFileSystem(first.base.fd, name, first.start, first.length)
  return probeBytes(await volume.read(0, Math.min(size, superblocks)), name, size)
}

function isOffered(volume: Volume): boolean {
  return !volume.flags.noAuto && volume.label !== emptyLabel
}

function newest<V extends Volume>(volumes: readonly V[]): V | undefined {
  return volumes.reduce<V | undefined>(
    (best, next) => (best && compareVersions(next.label ?? '', best.label ?? '') <= 0 ? best : next),
    undefined,
  )
}

/** The newest volume of the first architecture that has any; one without an architecture fits all. */
function preferred<V extends Volume>(
  volumes: readonly V[],
  designator: Designator,
  architectures: readonly string[],
): V | undefined {
  const offered = volumes.filter((one) => one.designator === designator && isOffered(one))
  for (const architecture of [null, ...architectures]) {
    const found = newest(offered.filter((one) => one.architecture === architecture))
    if (found) return found
  }
  return undefined
}

function onlyOne<V extends Volume>(volumes: readonly V[], what: string): V | undefined {
  if (volumes.length > 1)
    throw new DdiError(
      'ERR_DDI_GPT_DUPLICATE_UUID',
      `${volumes.length} partitions could be the ${what} ${volumes[0]!.uuid}`,
    )
  return volumes[0]
}

function namedByRootHash<V extends Volume>(
  image: Image,
  volumes: readonly V[],
  designator: ProtectedDesignator,
  rootHash: KnownRootHash,
): V | undefined {
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
        `${rootHash.source === 'option' ? '' : ` (from ${rootHash.source === 'signature' ? 'its signature' : `the ${rootHash.source} beside it`})`}: wrong root hash, or another image`,
    )
  return found
}

/** A pair whose signature is still to be looked for. */
type Paired = Extract<Verity, { trusted: false }> | Omit<Extract<Verity, { trusted: true }>, 'signature'>

async function pairVerity(
  image: Image,
  volumes: readonly DissectedVolume[],
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
