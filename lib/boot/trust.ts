import type { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { readIfThere } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'
import { trustedCertificates } from '../image/certificates.js'
import type { DissectOptions } from '../image/dissect.js'
import { type ImagePolicy, parseImagePolicy } from '../image/policy.js'
import type { VerifyMode } from '../pull/checksums.js'
import { keyringPaths } from '../pull/keyring.js'
import type { ImageKind } from '../pull/names.js'
import type { PullOptions } from '../pull/options.js'
import { parseRootHash } from '../verity/root-hash.js'
import type { BootParameters } from './parameters.js'

/** What the initrd brings to trust images by: its command line and its files. Nothing of it comes over the network. */
export interface TrustAnchors {
  /** `roothash=` and `usrhash=`, for the root image alone. */
  readonly rootHash: string | undefined
  readonly usrHash: string | undefined
  /** Who may sign root hashes. */
  readonly certificates: readonly X509Certificate[]
  /** `systemd.image_policy=`, for the root image alone. */
  readonly policy: ImagePolicy | undefined
  /** `ddi.insecure`: nothing has to be trusted. */
  readonly insecure: boolean
}

/** An image that this machine is about to use, and what was asked for its download. */
export interface TrustSubject {
  readonly kind: ImageKind
  /** The root file system; a device that others mount; an extension of the system, which merges it. */
  readonly use: 'root' | 'device' | 'extension'
  readonly verify: VerifyMode
  /** A credential is no anchor: whoever runs the virtual machine, or writes to the disk beside the kernel, sets it. */
  readonly requestedBy: 'command-line' | 'credential'
}

/** Why an image may be used. */
export type Trust =
  /** It has to match these. */
  | { readonly by: 'root-hash'; readonly rootHash: string | undefined; readonly usrHash: string | undefined }
  /** One of these has to have signed its root hash. */
  | { readonly by: 'signature'; readonly certificates: readonly X509Certificate[] }
  /** All of it was verified as it came. */
  | { readonly by: 'download' }
  /** `ddi.insecure` says so. */
  | { readonly by: 'nothing' }

/**
 * Decides what an image is trusted by, before anything of it is attached. A root in a raw image is read as long as the machine runs:
 * each of its blocks has to be verified as it is read.
 * @throws ERR_DDI_UNTRUSTED if nothing would vouch for it
 */
export function decideTrust({ kind, use, verify, requestedBy }: TrustSubject, anchors: TrustAnchors): Trust {
  const { rootHash, usrHash, certificates, insecure } = anchors
  const isRawRoot = kind === 'raw' && use === 'root'
  if (use === 'root' && (rootHash ?? usrHash) !== undefined) {
    if (kind === 'raw') return { by: 'root-hash', rootHash, usrHash }
    throw new DdiError(
      'ERR_DDI_UNTRUSTED',
      'the kernel command line pins a root hash, which no tree has: drop roothash= and usrhash= to boot one',
    )
  }
  const isPinned = typeof verify === 'object' && requestedBy === 'command-line'
  if (!isRawRoot && (isPinned || verify === 'signature')) return { by: 'download' }
  if (insecure) return { by: 'nothing' }
  if (kind === 'raw' && certificates.length > 0) return { by: 'signature', certificates }
  throw new DdiError('ERR_DDI_UNTRUSTED', `${missing(kind, use)}; ddi.insecure on the kernel command line does without`)
}

function missing(kind: ImageKind, use: TrustSubject['use']): string {
  const download = 'signed checksums (verify=signature), or its SHA-256 on the kernel command line (verify=HASH)'
  const certificate = 'a certificate in /etc/verity.d of the initrd that signed it'
  if (use === 'root' && kind === 'raw')
    return `nothing vouches for the root image: it needs roothash= or usrhash= on the kernel command line, or ${certificate}`
  const what = use === 'root' ? 'the root tree' : use === 'device' ? 'the image' : 'the extension'
  return `nothing vouches for ${what}: it needs ${download}${kind === 'raw' ? `, or ${certificate}` : ''}`
}

/** What the console says at each boot of an image that nothing vouches for; undefined of any other. */
export function warningOf(trust: Trust, path: string): string | undefined {
  return trust.by === 'nothing'
    ? `INSECURE: nothing vouches for ${path}, and ddi.insecure takes it all the same`
    : undefined
}

/** How {@link DissectOptions} say it. */
export function dissectOptionsOf(trust: Trust, policy: ImagePolicy | undefined): DissectOptions {
  return { ...(policy && { policy }), ...ofTrust(trust) }
}

/** Of an image that was found trusted, which volumes become devices: what vouches for the system vouches for none beside it. */
const coveredOnly = parseImagePolicy('root=verity+signed+absent:usr=verity+signed+absent:=unused+absent')

/** The policy of an image that is attached; undefined if all of it is trusted. @param policy that was given */
export function devicePolicy(trust: Trust, policy: ImagePolicy | undefined): ImagePolicy | undefined {
  return policy ?? (trust.by === 'signature' || trust.by === 'root-hash' ? coveredOnly : undefined)
}

function ofTrust(trust: Trust): DissectOptions {
  if (trust.by === 'signature') return { certificates: trust.certificates, strict: true }
  if (trust.by !== 'root-hash') return {}
  const { rootHash, usrHash } = trust
  // What is pinned is all that counts: no certificate lets another /usr in beside a pinned root.
  const pinned = { ...(rootHash !== undefined && { rootHash }), ...(usrHash !== undefined && { usrHash }) }
  return { ...pinned, certificates: [], strict: true }
}

/** Where an initrd has its certificates: not below /run, where credentials and other programs write. */
const certificateDirectories = ['etc/verity.d', 'usr/local/lib/verity.d', 'usr/lib/verity.d'] as const

/**
 * Reads what this initrd trusts images by.
 * @param root the directory that holds its files
 * @throws ERR_DDI_ROOT_HASH_FORMAT, ERR_DDI_CERTIFICATE, ERR_DDI_POLICY_SYNTAX, ERR_DDI_FILE_KIND
 */
export async function readTrustAnchors(
  root: string,
  { rootHash, usrHash, imagePolicy, insecure }: TrustParameters,
): Promise<TrustAnchors> {
  return {
    rootHash: pinned('roothash=', rootHash),
    usrHash: pinned('usrhash=', usrHash),
    certificates: await trustedCertificates(
      [],
      certificateDirectories.map((directory) => join(root, directory)),
    ),
    policy: imagePolicy === null ? undefined : parseImagePolicy(imagePolicy),
    insecure,
  }
}

/** What an initrd has to verify downloads by, and the servers that they come from; what is missing is left to the defaults. */
export async function readServerTrust(root: string): Promise<Pick<PullOptions, 'keyring' | 'authorities'>> {
  const authorities = (await readIfThere(join(root, 'etc/ssl/certs/ca-certificates.crt')))?.toString('utf8')
  for (const path of keyringPaths.map((one) => join(root, one)))
    if (await exists(path)) return { keyring: path, ...(authorities && { authorities }) }
  return authorities ? { authorities } : {}
}

type TrustParameters = Pick<BootParameters, 'rootHash' | 'usrHash' | 'imagePolicy' | 'insecure'>

/** @throws ERR_DDI_ROOT_HASH_FORMAT */
function pinned(name: string, text: string | null): string | undefined {
  return text === null ? undefined : Buffer.from(parseRootHash(text, name)).toString('hex')
}
