import type { X509Certificate } from 'node:crypto'
import type { FileSystem } from '../../bindings/blkid.js'
import { requireWhole, type Volume, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { checkOptions, type OptionNames } from '../options.js'
import { machineArchitectures } from './architecture.js'
import { trustedCertificates } from './certificates.js'
import type { DissectedVolume, Dissection, UsableVolume, Verity } from './dissection.js'
import type { Image, TableProblem } from './open.js'
import { type ImagePolicy, judge, type PolicySubject, policyDesignators } from './policy.js'
import { probe } from './probe.js'
import { findProtected } from './protection.js'
import type { ProtectedDesignator } from './root-hash-sources.js'
import { isOffered, newest, preferred } from './selection.js'
import type { SignatureMode, SignatureTrust } from './signatures.js'

export interface DissectOptions {
  /** The trusted root hash of the root volume, in hexadecimal. Default: from beside the image. */
  readonly rootHash?: string
  /** The same for /usr. */
  readonly usrHash?: string
  /** Architectures whose volumes count, the preferred first (`x86-64`). Default: this machine’s. */
  readonly architectures?: readonly string[]
  /** What the image has to be, and which of its volumes are used. Default: anything is accepted. */
  readonly policy?: ImagePolicy
  /** Certificates that may sign root hashes. Default: those of verity.d(5), see `trustedCertificates`. */
  readonly certificates?: readonly X509Certificate[]
  /** Who verifies signatures of root hashes. Default: auto. */
  readonly signature?: SignatureMode
  /** Which volumes libblkid probes for a file system: all, or those that this machine would use. Default: all. */
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

const plainRoles = ['home', 'srv', 'var', 'tmp', 'esp', 'xbootldr', 'swap'] as const satisfies readonly Designator[]

/** A volume whose file system is still to be probed. */
interface Probing {
  fileSystem?: FileSystem | null
}

/**
 * Says what each volume of an image is for (Discoverable Partitions Specification): this machine’s architecture first,
 * the newest version of the label if several compete, and by its UUIDs what a root hash names. Every root hash that
 * is known is checked against the top of its tree here.
 * @throws ERR_DDI_NO_TABLE for an image with neither table nor file system; ERR_DDI_ROOT_HASH_FORMAT,
 *   ERR_DDI_ROOT_HASH_FILE, ERR_DDI_ROOT_HASH_MISMATCH, ERR_DDI_ROOT_HASH_WRONG, ERR_DDI_VERITY_MISSING,
 *   ERR_DDI_VERITY_SUPERBLOCK, ERR_DDI_VERITY_ALGORITHM, ERR_DDI_LIBRARY_MISSING, ERR_DDI_POLICY, ERR_DDI_CERTIFICATE
 */
export async function dissect(image: Image, options: DissectOptions = {}): Promise<Dissection> {
  checkOptions(options, dissectOptionNames, 'dissect')
  const volumes: (Volume & Probing)[] = image.volumes.map((volume) => ({ ...volume }))
  const architectures = options.architectures ?? machineArchitectures()
  const roles = new Map<Designator, WholeVolume & Probing>()
  const verity = new Map<ProtectedDesignator, Verity>()
  const problems: TableProblem[] = []
  const trust: SignatureTrust = {
    mode: options.signature ?? 'auto',
    certificates: async () => options.certificates ?? (await trustedCertificates()),
    now: new Date(),
  }
  const given = { root: options.rootHash, usr: options.usrHash }
  for (const designator of ['root', 'usr'] as const) {
    const report = (problem: TableProblem) => void problems.push(problem)
    const candidates = { image, volumes, architectures }
    const found = await findProtected(candidates, designator, given[designator], trust, report)
    if (!found) continue
    roles.set(designator, found.data)
    if (found.verity) verity.set(designator, found.verity)
  }
  assignPlainRoles(volumes, roles)
  for (const volume of options.probe === 'used' ? roles.values() : volumes)
    volume.fileSystem = await probe(image, volume)
  if (options.policy) applyPolicy(options.policy, { name: image.name, volumes, roles, verity, architectures })
  // Bytes that a root hash covers need not be a file system that libblkid knows.
  const known = verity.get('root')?.trusted || volumes.some(({ fileSystem }) => fileSystem)
  if (image.table.type === 'none' && !known)
    throw new DdiError('ERR_DDI_NO_TABLE', `${image.name} has neither a GPT nor a file system that libblkid knows`)
  return { image, volumes, roles, verity, signature: trust.mode, problems }
}

/** The roles that no verity protects; a single generic Linux partition is the root if there is none. */
function assignPlainRoles(volumes: readonly DissectedVolume[], roles: Map<Designator, UsableVolume>): void {
  for (const designator of plainRoles) {
    const volume = newest(volumes.filter((one) => one.designator === designator && isOffered(one)))
    if (volume) roles.set(designator, requireWhole(volume))
  }
  if (roles.has('root')) return
  const [generic, second] = volumes.filter((one) => one.designator === 'linux-generic' && isOffered(one))
  if (generic && !second) roles.set('root', requireWhole(generic))
}

interface Assignment {
  /** Of the image, for errors. */
  readonly name: string
  readonly volumes: readonly DissectedVolume[]
  readonly roles: Map<Designator, UsableVolume>
  readonly verity: Map<ProtectedDesignator, Verity>
  readonly architectures: readonly string[]
}

/** Removes from the roles what the policy says is not to be used. @throws ERR_DDI_POLICY */
function applyPolicy(policy: ImagePolicy, { name, volumes, roles, verity, architectures }: Assignment): void {
  for (const designator of policyDesignators) {
    // What protects root and usr may lie beside the image: unless a rule is for its partition, `signed` and `verity` say enough.
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
    if (judge(policy, designator, subject, name)) continue
    roles.delete(designator)
    if (pair) verity.delete(designator as ProtectedDesignator)
  }
}

function protectionsOf({ fileSystem }: DissectedVolume, pair: Verity | undefined): PolicySubject['protections'] {
  if (pair?.trusted) return pair.signature ? ['signed', 'verity', 'unprotected'] : ['verity', 'unprotected']
  return fileSystem?.type === 'crypto_LUKS' ? ['encrypted'] : ['unprotected']
}
