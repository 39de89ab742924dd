import type { X509Certificate } from 'node:crypto'
import type { FileSystem } from '../../bindings/blkid.js'
import { extentSource } from '../bytes/extents.js'
import { probe } from '../disk/probe.js'
import { foundExtents, type Volume, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { otherTable } from '../gpt/other-tables.js'
import { checkOptions, type OptionNames } from '../options.js'
import { machineArchitectures, refuseUnknownArchitectures } from './architecture.js'
import { trustedCertificates } from './certificates.js'
import type { TableProblem } from './contents.js'
import { type DissectedVolume, type Dissection, isCovered, type UsableVolume, type Verity } from './dissection.js'
import { hasIntegrity, isEncrypted, luks } from './luks.js'
import type { Image } from './open.js'
import { type ImagePolicy, judge, type PolicySubject, policyDesignators } from './policy.js'
import { assignPlainRoles, assignProtectedRoles, exceptionsOf, type GivenHashes } from './roles.js'
import type { ProtectedDesignator } from './root-hash-sources.js'
import { preferred, rivals } from './selection.js'
import { type SignatureMode, type SignatureTrust, signatureModes } from './signatures.js'

/** Options of {@link dissect}. */
export interface DissectOptions extends GivenHashes {
  /** Architectures whose volumes count, the preferred first (`x86-64`). Default: this machine’s. */
  readonly architectures?: readonly string[]
  /** What the image has to be, and which of its volumes are used. Default: anything is accepted. */
  readonly policy?: ImagePolicy
  /**
   * Certificates that may sign root hashes: one of them has to have signed whatever is used as root or usr, unless `rootHash` or
   * `usrHash` vouches for it. Default: those of verity.d(5), see `trustedCertificates`.
   */
  readonly certificates?: readonly X509Certificate[]
  /** Who verifies signatures of root hashes; whoever is named has to find one. Default: auto. */
  readonly signature?: SignatureMode
  /**
   * Leaves out a root that no root hash covers while one covers /usr, which is else offered without permission to execute;
   * a policy that wants it so is refused.
   * Default: false.
   */
  readonly strict?: boolean
  /** Which volumes libblkid probes for a file system: all, or those that this machine would use or choose from. Default: all. */
  readonly probe?: 'all' | 'used'
}
export const dissectOptionNames: OptionNames<DissectOptions> = {
  rootHash: true,
  usrHash: true,
  verityData: true,
  rootHashSignature: true,
  architectures: true,
  policy: true,
  certificates: true,
  signature: true,
  strict: true,
  probe: true,
}

/** A volume whose file system is still to be probed. */
interface Probing {
  fileSystem?: FileSystem | null
}

/**
 * Says what each volume of an image is for (Discoverable Partitions Specification): this machine’s architecture first,
 * the newest version of the label if several compete that hold something, and by its UUIDs what a root hash names. Every root hash that
 * is known is checked against the top of its tree here. Without libblkid, no volume has a file system, and a problem says so.
 * @throws ERR_DDI_USAGE for a hash tree or signature that belongs to no known root hash; ERR_DDI_NO_TABLE for an image with neither table nor file system; ERR_DDI_ROOT_HASH_FORMAT,
 *   ERR_DDI_ROOT_HASH_FILE, ERR_DDI_ROOT_HASH_MISMATCH, ERR_DDI_ROOT_HASH_WRONG, ERR_DDI_VERITY_MISSING,
 *   ERR_DDI_VERITY_SUPERBLOCK, ERR_DDI_VERITY_ALGORITHM, ERR_DDI_LIBRARY_MISSING, ERR_DDI_POLICY, ERR_DDI_CERTIFICATE
 */
export async function dissect(image: Image, options: DissectOptions = {}): Promise<Dissection> {
  checkOptions(options, dissectOptionNames, 'dissect')
  refuseEmptyTrust(options)
  const volumes: (Volume & Probing)[] = image.volumes.map((volume) => ({ ...volume }))
  const { architectures = machineArchitectures() } = options
  refuseUnknownArchitectures(options.architectures ?? [])
  const roles = new Map<Designator, WholeVolume & Probing>()
  const problems: TableProblem[] = []
  const trust: SignatureTrust = {
    mode: signatureMode(options),
    certificates: async () => options.certificates ?? (await trustedCertificates()),
    now: new Date(),
  }
  const report = (problem: TableProblem) => void problems.push(problem)
  const candidates = { image, volumes, architectures, policy: options.policy, report }
  const unknown = await probeAll(image, options.probe === 'used' ? rivals(volumes) : volumes)
  const { verity, rootHashes } = await assignProtectedRoles(candidates, roles, options, trust)
  assignPlainRoles(volumes, roles)
  const unprobed = unknown ?? (await probeAll(image, roles.values()))
  if (unprobed && options.policy) throw unprobed
  if (unprobed) report(unprobed)
  const unused = options.policy
    ? await applyPolicy(options.policy, { image, volumes, roles, verity, architectures })
    : []
  const exceptions = exceptionsOf(volumes, roles, verity, { policy: options.policy, strict: options.strict ?? false })
  // Bytes that a root hash covers need not be a file system that libblkid knows.
  const known = isCovered(verity.get('root')) || volumes.some(({ fileSystem }) => fileSystem)
  if (image.table.type === 'none' && !known) {
    if (unprobed) throw unprobed
    const [leftover] = image.table.problems
    const why = leftover ? `; ${leftover.message}` : ''
    const other = await otherTable(image.source)
    const has = other === undefined ? '' : `${other}, and `
    throw new DdiError(
      leftover?.code ?? 'ERR_DDI_NO_TABLE',
      `${image.name} has ${has}neither a GPT nor a file system that libblkid knows${why}`,
    )
  }
  const given = { rootHashes, signatures: trust.mode !== 'auto' || (options.certificates ?? []).length > 0 }
  return { image, volumes, roles, verity, exceptions, architectures, unused, signature: trust.mode, given, problems }
}

/** Once each. @returns why nothing can be probed here, of a machine without libblkid */
async function probeAll(image: Image, volumes: Iterable<Volume & Probing>): Promise<DdiError | undefined> {
  try {
    for (const volume of volumes)
      if (volume.fileSystem === undefined)
        volume.fileSystem = await probe(extentSource(image.source, foundExtents(volume)), image.name)
    return undefined
  } catch (error) {
    if (!(error instanceof DdiError && error.code === 'ERR_DDI_LIBRARY_MISSING')) throw error
    return new DdiError(error.code, `file systems are not recognised: ${error.message}`, { cause: error })
  }
}

/** Refuses a dissection that does not know the file systems of its volumes. @throws ERR_DDI_LIBRARY_MISSING */
export function requireProbed({ problems }: Dissection): void {
  const unprobed = problems.find(({ code }) => code === 'ERR_DDI_LIBRARY_MISSING')
  if (unprobed) throw new DdiError(unprobed.code, unprobed.message)
}

const trustNames = [
  'rootHash',
  'usrHash',
  'verityData',
  'rootHashSignature',
  'policy',
  'certificates',
  'signature',
] as const

/** What is missing, such as a named policy that does not exist, is not the same as what was not given. @throws ERR_DDI_USAGE */
function refuseEmptyTrust(options: DissectOptions): void {
  for (const name of trustNames)
    if (Object.hasOwn(options, name) && (options[name] ?? undefined) === undefined)
      throw new DdiError('ERR_DDI_USAGE', `dissect(): ${name} is ${String(options[name])}: leave it out, or give one`)
  if (options.policy && !(options.policy.partitions instanceof Map))
    throw new DdiError(
      'ERR_DDI_USAGE',
      'dissect(): policy is not an image policy; parseImagePolicy() makes one of text',
    )
  if (options.signature && !signatureModes.includes(options.signature))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `dissect(): signature is ${JSON.stringify(options.signature)}, not one of ${signatureModes.join(', ')}`,
    )
}

/** @throws ERR_DDI_USAGE for certificates that nobody would use */
function signatureMode({ signature = 'auto', certificates = [] }: DissectOptions): SignatureMode {
  if (signature === 'kernel' && certificates.length > 0)
    throw new DdiError(
      'ERR_DDI_USAGE',
      'certificates have no effect if only the kernel verifies signatures: it has its own',
    )
  return signature
}

interface Assignment {
  readonly image: Image
  readonly volumes: readonly DissectedVolume[]
  readonly roles: Map<Designator, UsableVolume>
  readonly verity: Map<ProtectedDesignator, Verity>
  readonly architectures: readonly string[]
}

/** Removes from the roles what the policy says is not to be used. @returns what it removed @throws ERR_DDI_POLICY */
async function applyPolicy(policy: ImagePolicy, assignment: Assignment): Promise<readonly Designator[]> {
  const { image, roles, verity } = assignment
  const unused: Designator[] = []
  for (const designator of policyDesignators) {
    const isProtection = /-verity(-sig)?$/.test(designator)
    // See `mayProtect`.
    if (isProtection && !policy.partitions.has(designator)) continue
    const used = roles.get(designator)
    const protection = isProtection ? protectionVolume(assignment, designator) : undefined
    const volume = used ?? protection
    const pair = designator === 'root' || designator === 'usr' ? verity.get(designator) : undefined
    const subject = volume && {
      protections: await protectionsOf(image, volume, pair),
      readOnly: volume.flags.readOnly,
      growFileSystem: volume.flags.growFileSystem,
      fileSystem: volume.fileSystem?.type ?? null,
    }
    if (judge(policy, designator, subject, image.name)) continue
    if (roles.delete(designator)) unused.push(designator)
    if (pair) verity.delete(designator as ProtectedDesignator)
  }
  return unused
}

/** The hash volume in use, whatever its flags, else the one that would be. */
function protectionVolume(
  { volumes, verity, architectures }: Assignment,
  designator: Designator,
): DissectedVolume | undefined {
  const hash = verity.get(designator === 'root-verity' ? 'root' : 'usr')?.hash
  const used = hash?.kind === 'volume' && hash.volume.designator === designator ? hash.volume : undefined
  return used ?? preferred(volumes, designator, architectures)
}

/** A signature that the kernel is to verify counts: `plan` hands it on, and nobody else takes it for valid. */
async function protectionsOf(
  { source }: Image,
  volume: DissectedVolume,
  pair: Verity | undefined,
): Promise<PolicySubject['protections']> {
  if (isCovered(pair)) return pair.signature ? ['signed', 'verity', 'unprotected'] : ['verity', 'unprotected']
  const isLocked = volume.state === 'whole' && volume.fileSystem?.type === luks
  if (!isLocked) return ['unprotected']
  const bytes = extentSource(source, volume.extents)
  if (!(await isEncrypted(bytes))) return ['unprotected']
  return (await hasIntegrity(bytes)) ? ['encryptedwithintegrity', 'encrypted'] : ['encrypted']
}
