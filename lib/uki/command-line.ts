import { DdiError } from '../errors.js'
import { type ImageKind, kindOf } from '../image-endings.js'
import { isSet, parameterValues } from '../kernel-command-line.js'
import { parseRootHash } from '../verity/root-hash.js'

/** What a machine boots, as `buildUki` is told. */
export interface BootRequest {
  /** The root image: a name beside the UKI, or a URL. */
  readonly image?: string
  /** How its download is verified. Default: by signed checksums if there is a keyring; not, if its bytes are held against a root hash. */
  readonly verify?: 'no' | 'checksum' | 'signature' | { readonly sha256: string }
  /** `ip=` of the kernel: `dhcp`, … */
  readonly network?: string
  /** The root hash of the root volume, in hexadecimal. */
  readonly rootHash?: string
  /** The product whose images boot from a store (docs/image-store.md); `image` is what comes to an empty one. */
  readonly product?: string
  /** Which disk is the store: `auto`, the UUID of its table, or a path below /dev. Default: `auto` */
  readonly store?: string
  /** Further kernel parameters. */
  readonly commandLine?: string
}

/** What an initrd can hold images against, and make of them. */
export interface InitrdMeans {
  readonly hasCertificate: boolean
  readonly hasKeyring: boolean
  /** GNU tar. */
  readonly hasTar: boolean
}

/** COMMAND_LINE_SIZE of x86 and arm64 is 2048, with the NUL. */
const longestCommandLine = 2047

/**
 * The kernel command line of a UKI.
 * @throws ERR_DDI_USAGE if a value cannot stand there, nothing says how the image is trusted, or the initrd could do nothing with it;
 *   ERR_DDI_ROOT_HASH_FORMAT
 */
export function bootCommandLine(request: BootRequest, means: InitrdMeans): string {
  const { image, network, rootHash, commandLine } = request
  const words = [
    ...storeParameters(request, means),
    ...(image === undefined ? [] : [`rd.systemd.pull=${pullExpression(image, request, means)}`]),
    ...(network === undefined ? [] : [`ip=${oneWord(network, 'network')}`]),
    ...(rootHash === undefined ? [] : [`roothash=${oneWord(rootHash, 'root hash')}`]),
    ...(commandLine === undefined ? [] : [commandLine.trim()]),
  ]
  const text = words.filter((word) => word !== '').join(' ')
  if (text.length > longestCommandLine)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `the kernel command line has ${text.length} characters, and the kernel reads ${longestCommandLine}: what it cuts off may be what says whose image boots`,
    )
  // Stubs up to systemd 252 know nothing else.
  if (!/^[ -~]*$/.test(text))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `the kernel command line ${JSON.stringify(text)} has other characters than ASCII`,
    )
  for (const name of rootHashes) requireOneHash(text, name)
  return text
}

/** An image that panics, or that does not get so far as to run, is of no use until the machine restarts and another is tried. */
const restarts = ['panic=10', 'rd.systemd.pull.failure_action=reboot'] as const

function storeParameters(request: BootRequest, means: InitrdMeans): readonly string[] {
  const { product, store = 'auto' } = request
  if (product === undefined) {
    if (request.store === undefined) return []
    throw new DdiError('ERR_DDI_USAGE', 'a machine that boots from a store needs a product, whose images boot')
  }
  requireTrust('raw', 'no', request, means)
  return [`ddi.product=${oneWord(product, 'product')}`, `ddi.store=${oneWord(store, 'store')}`, ...restarts]
}

function pullExpression(image: string, request: BootRequest, means: InitrdMeans): string {
  const isUrl = /^https?:\/\//.test(image)
  const kind = kindOf(isUrl && URL.canParse(image) ? new URL(image).pathname : image)
  if (!isUrl && (image.includes('/') || image === ''))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `${JSON.stringify(image)} is neither the name of a file beside the UKI nor a URL`,
    )
  const verify = request.verify ?? (means.hasKeyring ? 'signature' : 'no')
  requireMeans(kind, verify, means)
  requireTrust(kind, verify, request, means)
  const how = typeof verify === 'string' ? verify : verify.sha256
  const options = [kind, 'machine', `verify=${how}`, ...(isUrl ? [] : ['bootorigin'])]
  return `${options.join(',')}:root:${oneWord(image, 'image')}`
}

const rootHashes = ['roothash', 'usrhash'] as const

/** Of several, the last would count, which may not be the one that was meant. @throws ERR_DDI_USAGE, ERR_DDI_ROOT_HASH_FORMAT */
function requireOneHash(text: string, name: (typeof rootHashes)[number]): void {
  const given = parameterValues(text, name)
  for (const one of given) parseRootHash(one, `${name}=`)
  if (given.length > 1)
    throw new DdiError('ERR_DDI_USAGE', `the kernel command line has ${name}= ${given.length} times: one is meant`)
}

/** Refuses what the initrd could only refuse. @throws ERR_DDI_USAGE */
function requireMeans(
  kind: ImageKind,
  verify: NonNullable<BootRequest['verify']>,
  { hasKeyring, hasTar }: InitrdMeans,
): void {
  if (verify === 'signature' && !hasKeyring)
    throw new DdiError('ERR_DDI_USAGE', 'the initrd has no keyring, which signed checksums are verified by')
  if (kind === 'tar' && !hasTar)
    throw new DdiError(
      'ERR_DDI_USAGE',
      'the image is an archive, and the initrd is to have no GNU tar, which unpacks it',
    )
}

/** Refuses what the boot program would refuse: `decideTrust` of lib/boot. @throws ERR_DDI_USAGE */
function requireTrust(
  kind: ImageKind,
  verify: NonNullable<BootRequest['verify']>,
  { rootHash, commandLine = '' }: BootRequest,
  { hasCertificate }: InitrdMeans,
): void {
  const isPinned = rootHash !== undefined || rootHashes.some((name) => parameterValues(commandLine, name).length > 0)
  if (kind === 'tar' && isPinned)
    throw new DdiError('ERR_DDI_USAGE', 'a root hash is of a volume, and the image is an archive: pin its SHA-256')
  const isVouchedFor =
    kind === 'raw' ? isPinned || hasCertificate : verify === 'signature' || typeof verify === 'object'
  if (isVouchedFor || isSet(commandLine, 'ddi.insecure')) return
  const needed = kind === 'raw' ? 'a root hash or a certificate' : 'a keyring or a SHA-256'
  throw new DdiError('ERR_DDI_USAGE', `nothing says whose image a machine may boot: it takes ${needed}`)
}

function oneWord(value: string, what: string): string {
  if (!/^[!#-~]+$/.test(value))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `the ${what} ${JSON.stringify(value)} cannot be a word of the kernel command line`,
    )
  return value
}
