/** The kind of cause: wrong usage, the image, missing permission, or the system. */
export type ErrorKind = 'usage' | 'image' | 'permission' | 'system'

/** Every error code, its kind and what it means; a test keeps `docs/errors.md` equal to this table. */
export const errorCodes = {
  ERR_DDI_USAGE: ['usage', 'an argument or option is missing, unknown or out of range'],
  ERR_DDI_NAME: ['usage', 'a name for an attachment has characters or a length that device names cannot have'],
  ERR_DDI_MOUNT_POINT: ['usage', 'there is no directory to mount a volume on'],
  ERR_DDI_WRITABLE_EXECUTABLE: ['usage', 'a mount would be writable and executable, which the policy forbids'],
  ERR_DDI_PASSPHRASE: ['usage', 'no key slot of a LUKS volume accepts the passphrase or key'],
  ERR_DDI_LOCKED: ['usage', 'a LUKS volume has to be unlocked, and no passphrase or key was given'],
  ERR_DDI_EXISTS: ['usage', 'a file to be created exists'],
  ERR_DDI_SUPER_SLOT: [
    'usage',
    'an Android super partition has no such metadata slot, or all are to change at once and differ',
  ],
  ERR_DDI_NO_VOLUME: ['usage', 'no volume, or more than one, has the given name, label or UUID'],
  ERR_DDI_VOLUME_EXISTS: ['usage', 'a volume with that UUID or name exists'],
  ERR_DDI_SHRINK_REFUSED: ['usage', 'a volume would become smaller than what it holds, or than may be needed for that'],
  ERR_DDI_STORE_NAME: ['usage', 'a product, a version or both together cannot name an image of a store'],
  ERR_DDI_STORE_LAST_GOOD: ['usage', 'a product would be left without a good image'],
  ERR_DDI_STORE_AMBIGUOUS: ['usage', 'images of one product lie on several disks'],
  ERR_DDI_DEFINITION: ['usage', 'a partition or transfer definition is malformed, or requests what is not supported'],
  ERR_DDI_POLICY_SYNTAX: ['usage', 'an image policy is malformed'],
  ERR_DDI_POLICY_CONFLICT: ['usage', 'two image policies have nothing in common'],
  ERR_DDI_CERTIFICATE: ['usage', 'a certificate is malformed'],
  ERR_DDI_KEY: ['usage', 'a private key is malformed, of an unsupported type, or does not belong to its certificate'],
  ERR_DDI_ROOT_HASH_FORMAT: [
    'usage',
    'a given root hash is not hexadecimal, or has the wrong length for its algorithm',
  ],
  ERR_DDI_ROOT_HASH_FILE: ['image', 'a root hash in a side file or extended attribute is malformed'],
  ERR_DDI_IMAGE_KIND: ['image', 'the path is neither a regular file nor a block device'],
  ERR_DDI_IMAGE_EMPTY: ['image', 'the image has no bytes'],
  ERR_DDI_IMAGE_CHANGED: ['image', 'the image changed while it was being attached'],
  ERR_DDI_SHORT_READ: ['image', 'the image ends before the bytes that its table describes'],
  ERR_DDI_NO_TABLE: ['image', 'the image has neither a GPT nor a known file system'],
  ERR_DDI_GPT_AMBIGUOUS: [
    'image',
    'the image has tables for several sector sizes: which one is valid cannot be determined',
  ],
  ERR_DDI_GPT_NO_HEADER: ['image', 'a GPT header is missing'],
  ERR_DDI_GPT_HEADER_SIZE: ['image', 'a GPT header claims an impossible size'],
  ERR_DDI_GPT_HEADER_CRC: ['image', 'the checksum of a GPT header is wrong'],
  ERR_DDI_GPT_REVISION: ['image', 'a GPT header has a revision other than 1'],
  ERR_DDI_GPT_HEADER_LBA: ['image', 'a GPT header does not lie at the LBA that it claims'],
  ERR_DDI_GPT_ENTRY_SIZE: ['image', 'a GPT entry size is not 128·2ⁿ, or is over 4096'],
  ERR_DDI_GPT_ENTRY_COUNT: ['image', 'a GPT has no entries, or more than 4 MiB of them'],
  ERR_DDI_GPT_TRUNCATED: ['image', 'a GPT describes a larger disk than the image: the image is truncated'],
  ERR_DDI_GPT_USABLE_RANGE: ['image', 'the usable range of a GPT is empty or covers its own header'],
  ERR_DDI_GPT_ARRAY_RANGE: ['image', 'a GPT entry array lies outside the image, on its header or on partitions'],
  ERR_DDI_GPT_ARRAY_CRC: ['image', 'the checksum of a GPT entry array is wrong'],
  ERR_DDI_GPT_ENTRY_RANGE: ['image', 'a partition lies outside the usable range, or ends before it starts'],
  ERR_DDI_GPT_OVERLAP: ['image', 'two partitions overlap'],
  ERR_DDI_GPT_DUPLICATE_UUID: ['image', 'two partitions have the same UUID'],
  ERR_DDI_GPT_COPIES_DIFFER: ['image', 'the two copies of the GPT differ'],
  ERR_DDI_GPT_BACKUP_NOT_AT_END: ['image', 'the backup GPT does not lie at the end of the image'],
  ERR_DDI_GPT_LEFTOVER: [
    'image',
    'a GPT does not count, such as one of an earlier use of the disk: nothing protects it, or a file system lies before it',
  ],
  ERR_DDI_GPT_NO_PROTECTIVE_MBR: ['image', 'there is no protective MBR before the GPT'],
  ERR_DDI_CHAIN_BROKEN: ['image', 'an extension partition of a volume is missing, duplicate, or of another type'],
  ERR_DDI_CHAIN_MISALIGNED: ['image', 'a segment of a volume does not start or end on a multiple of 4096 bytes'],
  ERR_DDI_SUPER_GEOMETRY: ['image', 'the geometry of an Android super partition is malformed in both copies'],
  ERR_DDI_SUPER_HEADER: ['image', 'the header of Android metadata is malformed in both copies'],
  ERR_DDI_SUPER_TABLES: ['image', 'the tables of Android metadata are malformed in both copies'],
  ERR_DDI_SUPER_EXTENT: ['image', 'an extent of a logical partition is out of bounds, or overlaps another'],
  ERR_DDI_SUPER_DEVICE: ['image', 'a device that logical partitions lie on is missing or too small'],
  ERR_DDI_SPARSE_FORMAT: ['image', 'an Android sparse image is malformed or truncated'],
  ERR_DDI_SPARSE_CRC: ['image', 'an Android sparse image does not match its checksum'],
  ERR_DDI_SPARSE_ENCODED: [
    'image',
    'an Android sparse image cannot be attached, nor changed on a block device, before it is expanded',
  ],
  ERR_DDI_NOT_IN_FILE: ['image', 'an image that does not lie in a file as it is cannot be attached'],
  ERR_DDI_UNTRUSTED: ['image', 'an image is to be booted or merged into the system, and nothing vouches for it'],
  ERR_DDI_POLICY: ['image', 'an image does not meet the image policy'],
  ERR_DDI_SIGNATURE_FORMAT: ['image', 'a root hash signature or its record is malformed'],
  ERR_DDI_SIGNATURE_UNTRUSTED: ['image', 'no trusted certificate signed a root hash'],
  ERR_DDI_SIGNATURE_EXPIRED: ['image', 'the certificate that signed a root hash is not valid now'],
  ERR_DDI_SIGNATURE_WRONG: ['image', 'a signature does not match the root hash that it comes with'],
  ERR_DDI_PULL_COMPRESSION: ['image', 'a compressed download is corrupt or truncated'],
  ERR_DDI_PULL_FORMAT: ['image', 'a download is packed, or is a disk image, in a format that is not supported'],
  ERR_DDI_QCOW2: ['image', 'a disk image in qcow2 format is malformed or truncated'],
  ERR_DDI_PULL_TOO_LARGE: ['image', 'a download, or what it unpacks to, exceeds the size limit'],
  ERR_DDI_PULL_CHECKSUM: ['image', 'a download does not match its checksum'],
  ERR_DDI_PULL_NO_CHECKSUM: ['image', 'the server has no checksum for a download'],
  ERR_DDI_DEVICE_PATH: ['image', 'an EFI device path or boot entry is malformed'],
  ERR_DDI_NO_BOOT_ORIGIN: ['system', 'neither firmware nor DHCP leases name a URL that the machine booted from'],
  ERR_DDI_NETWORK: ['system', 'no network card of a booting machine got an address'],
  ERR_DDI_NO_ROOT: [
    'system',
    'nothing that a machine could boot was requested, or the only image that may boot does not',
  ],
  ERR_DDI_PULL_ARCHIVE: ['image', 'a downloaded archive is malformed, truncated, or would escape its directory'],
  ERR_DDI_PULL_SIGNATURE: ['image', 'the signature of checksums is missing, malformed, or not by a trusted key'],
  ERR_DDI_NO_ROOT_HASH: ['image', 'no root hash is known to verify the image against'],
  ERR_DDI_ROOT_HASH_MISMATCH: ['image', 'no partition has the UUID that the root hash requires'],
  ERR_DDI_ROOT_HASH_WRONG: ['image', 'the hash tree does not match the root hash'],
  ERR_DDI_NOT_COVERED: ['image', 'a root hash was given, but no root hash covers a volume that may hold executables'],
  ERR_DDI_VERITY_MISSING: ['image', 'a root hash is known, but no hash tree was found'],
  ERR_DDI_VERITY_SUPERBLOCK: [
    'image',
    'a verity superblock is missing, malformed, or claims more than its volume holds or less than was hashed',
  ],
  ERR_DDI_VERITY_ALGORITHM: ['image', 'a verity superblock names a hash algorithm other than sha256 or sha512'],
  ERR_DDI_VERITY_CORRUPT: ['image', 'blocks do not match the hash tree'],
  ERR_DDI_FILE_SYSTEM: [
    'image',
    'a volume holds a file system that is not mounted from images, or that this kernel cannot mount',
  ],
  ERR_DDI_PE_FORMAT: ['image', 'a stub or UKI is no program for UEFI, is truncated or malformed, or is signed already'],
  ERR_DDI_PE_OVERLAP: ['image', 'sections of a stub or UKI overlap'],
  ERR_DDI_PE_FULL: ['image', 'a stub has no room for the headers of more sections'],
  ERR_DDI_KERNEL_IMAGE: ['image', 'a file is no kernel that a firmware can start'],
  ERR_DDI_KERNEL_VERSION: ['image', 'a kernel has another version than its modules, or does not tell its version'],
  ERR_DDI_ARCHITECTURE: ['image', 'a kernel, its stub and this machine are not for the same processor'],
  ERR_DDI_ELF: ['image', 'a program or library is no ELF file for a 64-bit little-endian processor, or malformed'],
  ERR_DDI_MODULES: [
    'image',
    'the index of the modules of a kernel is missing, malformed, circular, or names missing files',
  ],
  ERR_DDI_NO_MODULE: ['usage', 'a kernel has no module of a given name'],
  ERR_DDI_NOTHING_TO_ATTACH: ['image', 'the image has no volume that this machine would attach'],
  ERR_DDI_PERMISSION: ['permission', 'the operation needs privileges that this process does not have'],
  ERR_DDI_NO_SPACE: ['system', 'a disk does not have enough free space'],
  ERR_DDI_TABLE_FULL: ['system', 'a partition table has no room for another entry'],
  ERR_DDI_SUPER_GROUP: ['system', 'a group of logical partitions exceeds, or would exceed, its maximum size'],
  ERR_DDI_TOOL: ['system', 'a tool that makes, fills, checks or resizes a file system failed'],
  ERR_DDI_NOT_FOUND: ['system', 'a file or directory does not exist'],
  ERR_DDI_COMMAND_NOT_FOUND: ['system', 'a command to run is in no directory of PATH, or its file does not exist'],
  ERR_DDI_COMMAND_NOT_EXECUTABLE: ['system', 'a command to run is no program, or may not be executed'],
  ERR_DDI_FILE_KIND: ['system', 'a key, certificate, definition or side file is not a regular file, or is too large'],
  ERR_DDI_IO: ['system', 'reading or writing failed'],
  ERR_DDI_LIMIT: ['system', 'the process can open no more files, or has no more memory'],
  ERR_DDI_ABORTED: ['system', 'the caller aborted the operation'],
  ERR_DDI_ADDON_MISSING: ['system', 'the native addon is missing, or not built for this platform'],
  ERR_DDI_LIBRARY_MISSING: ['system', 'a system library or tool is not installed'],
  ERR_DDI_SIGNATURE_KERNEL: ['system', 'the kernel cannot verify a root hash signature, or does not trust it'],
  ERR_DDI_KEXEC: ['system', 'the kernel does not start another one: it cannot, may not, or does not trust that one'],
  ERR_DDI_TPM: ['system', 'a TPM refuses to measure what is booted, or its answer is malformed'],
  ERR_DDI_NO_LOOP: ['system', 'the kernel offers no loop devices here'],
  ERR_DDI_SIGNER: ['system', 'a command that signs root hashes failed'],
  ERR_DDI_PULL_NOT_FOUND: ['system', 'the server has no such file'],
  ERR_DDI_PULL_MEMORY: ['system', 'a download was packed with a larger dictionary than may be in memory'],
  ERR_DDI_PULL_FORBIDDEN: ['system', 'the server refuses a file, or hides that it has none'],
  ERR_DDI_PULL_RESPONSE: ['system', 'the server does not answer with the requested file'],
  ERR_DDI_PULL_REDIRECT: ['system', 'the server redirects endlessly, to an invalid address, or to a less secure one'],
  ERR_DDI_PULL_CERTIFICATE: ['system', 'the certificate of a server does not verify'],
  ERR_DDI_PULL_BROKEN: ['system', 'the connection keeps breaking, or the server does not answer'],
  ERR_DDI_PULL_CHANGED: ['system', 'a file changed on the server during the download'],
  ERR_DDI_PULL_KEYRING: ['system', 'there is no valid keyring to verify signatures with'],
  ERR_DDI_NO_FREE_LOOP: ['system', 'no loop device is free'],
  ERR_DDI_NO_DEVICE_MAPPER: ['system', 'the kernel has no device-mapper, and the plan needs one'],
  ERR_DDI_MISSING_TARGET: ['system', 'device-mapper lacks a target (its module is not loaded)'],
  ERR_DDI_NAME_IN_USE: ['system', 'an attachment or device with that name exists'],
  ERR_DDI_NOT_ATTACHED: ['system', 'nothing is attached under that name, image or device'],
  ERR_DDI_BUSY: ['system', 'a device is in use'],
  ERR_DDI_KERNEL: ['system', 'the kernel refused an operation'],
} as const satisfies Record<string, readonly [ErrorKind, string]>

/** A code of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes

/** Fields of a failed system call, as in Node's own system errors. */
export interface SystemErrorFields {
  /** Negative, as in Node. */
  readonly errno?: number
  readonly syscall?: string
  /** The device, file or device-mapper name that the call was about. */
  readonly path?: string
}

/** What an error says besides its text, for programs; undefined where it is unknown, or is not what the error is about. */
export interface ErrorFields extends SystemErrorFields {
  /** Of ERR_DDI_NO_SPACE: how many bytes are needed. */
  readonly needed?: number
  /** Of ERR_DDI_NO_SPACE: how many bytes there are for that. */
  readonly free?: number
  /** Of `ERR_DDI_GPT_…`: the number of the partition that is wrong. */
  readonly partition?: number
  /** Of ERR_DDI_VERITY_CORRUPT: the number of the first block that does not match, of the data volume or else of the tree. */
  readonly block?: number
}

/** The names of {@link ErrorFields}. */
export const errorFieldNames = [
  'errno',
  'syscall',
  'path',
  'needed',
  'free',
  'partition',
  'block',
] as const satisfies readonly (keyof ErrorFields)[]

/** The only class of error that this library throws. */
export class DdiError extends Error implements ErrorFields {
  /** `AbortError` if the caller aborted, as Node's own calls have it. */
  override readonly name: 'DdiError' | 'AbortError'
  readonly code: ErrorCode
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly path?: string
  declare readonly needed?: number
  declare readonly free?: number
  declare readonly partition?: number
  declare readonly block?: number

  /**
   * @param code stable, for programs
   * @param message what, where, and what to do next, for people
   */
  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown } & ErrorFields = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.name = code === 'ERR_DDI_ABORTED' ? 'AbortError' : 'DdiError'
    for (const name of errorFieldNames) if (options[name] !== undefined) Object.assign(this, { [name]: options[name] })
  }

  get kind(): ErrorKind {
    return errorCodes[this.code][0]
  }
}

/** The symbolic name of a system error (`ENOENT`), or undefined for anything else. V8 says in words that there is no memory. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof RangeError && error.message === 'Array buffer allocation failed') return 'ENOMEM'
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown }
  if (typeof code !== 'string') return undefined
  return /^E[A-Z0-9]+$/.test(code) ? code : code.startsWith('Unknown system error') ? unnamed.get(errno) : undefined
}

/** Errors of damaged file systems that Node.js has no names for. */
const unnamed: ReadonlyMap<unknown, string> = new Map([
  [-74, 'EBADMSG'],
  [-116, 'ESTALE'],
  [-117, 'EUCLEAN'],
])

/** What a system error means, whichever call failed. */
const usualCodes: Readonly<Record<string, ErrorCode>> = {
  EPERM: 'ERR_DDI_PERMISSION',
  EACCES: 'ERR_DDI_PERMISSION',
  EIO: 'ERR_DDI_IO',
  EUCLEAN: 'ERR_DDI_FILE_SYSTEM',
  EBADMSG: 'ERR_DDI_FILE_SYSTEM',
  ENOSPC: 'ERR_DDI_NO_SPACE',
  EDQUOT: 'ERR_DDI_NO_SPACE',
  EFBIG: 'ERR_DDI_NO_SPACE',
  EMFILE: 'ERR_DDI_LIMIT',
  ENFILE: 'ERR_DDI_LIMIT',
  ENOMEM: 'ERR_DDI_LIMIT',
  ELOOP: 'ERR_DDI_NOT_FOUND',
  ENAMETOOLONG: 'ERR_DDI_NOT_FOUND',
}

/**
 * Turns a failed system call into a DdiError that keeps its fields; a DdiError stays as it is.
 * @param what the operation that failed: the beginning of the message
 * @param codes the code for each symbolic errno that means something else here than it usually does; what has no code
 *   becomes `ERR_DDI_KERNEL`
 */
export function systemError(error: unknown, what: string, codes: Readonly<Record<string, ErrorCode>> = {}): DdiError {
  if (error instanceof DdiError) return error
  const name = systemCode(error)
  const { errno, syscall, path } = error as SystemErrorFields
  const code = (name === undefined ? undefined : (codes[name] ?? usualCodes[name])) ?? 'ERR_DDI_KERNEL'
  const reason = error instanceof Error ? error.message : String(error)
  const advice = code === 'ERR_DDI_PERMISSION' ? ' (run as root?)' : ''
  return new DdiError(code, `${what}: ${reason}${advice}`, {
    cause: error,
    ...(errno !== undefined && { errno }),
    ...(syscall !== undefined && { syscall }),
    ...(path !== undefined && { path }),
  })
}
