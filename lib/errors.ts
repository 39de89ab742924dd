/** What an error says of its cause: how it was called, the image, the caller's rights, or the system. */
export type ErrorKind = 'usage' | 'image' | 'permission' | 'system'

/** Every error code, its kind and what it means; a test keeps `docs/errors.md` equal to this table. */
export const errorCodes = {
  ERR_DDI_USAGE: ['usage', 'an argument or option is missing, unknown or out of its range'],
  ERR_DDI_NAME: ['usage', 'a name for an attachment has characters or a length that device names cannot have'],
  ERR_DDI_MOUNT_POINT: ['usage', 'there is no folder to mount a volume on'],
  ERR_DDI_WRITABLE_EXECUTABLE: ['usage', 'a mount would be writable and executable, which the policy forbids'],
  ERR_DDI_PASSPHRASE: ['usage', 'no key slot of a LUKS volume takes a passphrase or key'],
  ERR_DDI_LOCKED: ['usage', 'a LUKS volume has to be opened, and nothing was given that opens it'],
  ERR_DDI_EXISTS: ['usage', 'a file that would be made exists'],
  ERR_DDI_SUPER_SLOT: ['usage', 'an Android super partition has no such metadata slot'],
  ERR_DDI_NO_VOLUME: ['usage', 'nothing, or more than one thing, has the name, label or UUID that was given'],
  ERR_DDI_VOLUME_EXISTS: ['usage', 'a volume of that UUID or name exists'],
  ERR_DDI_SHRINK_REFUSED: ['usage', 'a volume would become smaller than what its file system or hash tree claims'],
  ERR_DDI_DEFINITION: ['usage', 'a definition of a partition is malformed, or asks for what is not supported'],
  ERR_DDI_POLICY_SYNTAX: ['usage', 'an image policy is malformed'],
  ERR_DDI_POLICY_CONFLICT: ['usage', 'two image policies have nothing in common'],
  ERR_DDI_CERTIFICATE: ['usage', 'a certificate is malformed'],
  ERR_DDI_KEY: ['usage', 'a private key is malformed, of a kind that is not supported, or not of its certificate'],
  ERR_DDI_ROOT_HASH_FORMAT: ['usage', 'a given root hash is not hexadecimal, or not of the length of its algorithm'],
  ERR_DDI_ROOT_HASH_FILE: ['image', 'a root hash in a side file or extended attribute is malformed'],
  ERR_DDI_IMAGE_KIND: ['image', 'the path is neither a regular file nor a block device'],
  ERR_DDI_IMAGE_EMPTY: ['image', 'the image has no bytes'],
  ERR_DDI_IMAGE_CHANGED: ['image', 'the image changed while it was being attached'],
  ERR_DDI_SHORT_READ: ['image', 'the image ended before the bytes that its table promises'],
  ERR_DDI_NO_TABLE: ['image', 'the image has neither a GPT nor a file system that we know'],
  ERR_DDI_GPT_AMBIGUOUS: [
    'image',
    'tables for several sector sizes are in the image: which one counts is anyone’s guess',
  ],
  ERR_DDI_GPT_NO_HEADER: ['image', 'no GPT header where one should be'],
  ERR_DDI_GPT_HEADER_SIZE: ['image', 'a GPT header claims an impossible size'],
  ERR_DDI_GPT_HEADER_CRC: ['image', 'the checksum of a GPT header is wrong'],
  ERR_DDI_GPT_REVISION: ['image', 'a GPT header has a revision other than 1'],
  ERR_DDI_GPT_HEADER_LBA: ['image', 'a GPT header does not lie where it says it does'],
  ERR_DDI_GPT_ENTRY_SIZE: ['image', 'a GPT entry size is not 128·2ⁿ, or over 4096'],
  ERR_DDI_GPT_ENTRY_COUNT: ['image', 'a GPT has no entries, or more than 4 MiB of them'],
  ERR_DDI_GPT_TRUNCATED: ['image', 'a GPT describes a larger disk than the image is: the image is cut off'],
  ERR_DDI_GPT_USABLE_RANGE: ['image', 'the usable range of a GPT is empty or covers its own header'],
  ERR_DDI_GPT_ARRAY_RANGE: ['image', 'a GPT entry array lies outside the image, on its header or on partitions'],
  ERR_DDI_GPT_ARRAY_CRC: ['image', 'the checksum of a GPT entry array is wrong'],
  ERR_DDI_GPT_ENTRY_RANGE: ['image', 'a partition lies outside the usable range, or ends before it starts'],
  ERR_DDI_GPT_OVERLAP: ['image', 'two partitions overlap'],
  ERR_DDI_GPT_DUPLICATE_UUID: ['image', 'two partitions have one UUID'],
  ERR_DDI_GPT_COPIES_DIFFER: ['image', 'the two copies of the GPT are not of one table'],
  ERR_DDI_GPT_BACKUP_NOT_AT_END: ['image', 'the backup GPT does not lie at the end of the image'],
  ERR_DDI_GPT_NO_PROTECTIVE_MBR: ['image', 'no protective MBR stands before the GPT'],
  ERR_DDI_CHAIN_BROKEN: ['image', 'an extension partition of a volume is missing, there twice, or of another type'],
  ERR_DDI_CHAIN_MISALIGNED: ['image', 'a segment of a volume does not start or end on a multiple of 4096 bytes'],
  ERR_DDI_SUPER_GEOMETRY: ['image', 'the geometry of an Android super partition is malformed in both copies'],
  ERR_DDI_SUPER_HEADER: ['image', 'the header of Android metadata is malformed in both copies'],
  ERR_DDI_SUPER_TABLES: ['image', 'the tables of Android metadata are malformed in both copies'],
  ERR_DDI_SUPER_EXTENT: ['image', 'an extent of a logical partition lies where none may, or on another'],
  ERR_DDI_SUPER_DEVICE: ['image', 'a device that logical partitions lie on is missing or too small'],
  ERR_DDI_SPARSE_FORMAT: ['image', 'an Android sparse image is malformed or cut off'],
  ERR_DDI_SPARSE_CRC: ['image', 'an Android sparse image does not have the checksum that it claims'],
  ERR_DDI_SPARSE_ENCODED: ['image', 'an Android sparse image cannot be attached or changed as it is'],
  ERR_DDI_POLICY: ['image', 'an image is not as the image policy demands'],
  ERR_DDI_SIGNATURE_FORMAT: ['image', 'a root hash signature or its record is malformed'],
  ERR_DDI_SIGNATURE_UNTRUSTED: ['image', 'a root hash is signed by nobody who is trusted'],
  ERR_DDI_SIGNATURE_EXPIRED: ['image', 'the certificate that a root hash is signed with is not valid now'],
  ERR_DDI_SIGNATURE_WRONG: ['image', 'a signature is not of the root hash that it comes with'],
  ERR_DDI_PULL_COMPRESSION: ['image', 'a compressed download is corrupt or ends early'],
  ERR_DDI_PULL_TOO_LARGE: ['image', 'a download is, or unpacks to, more than the limit'],
  ERR_DDI_PULL_CHECKSUM: ['image', 'a download does not have the expected checksum'],
  ERR_DDI_PULL_NO_CHECKSUM: ['image', 'the server has no checksum of a download'],
  ERR_DDI_DEVICE_PATH: ['image', 'an EFI device path or boot entry is malformed'],
  ERR_DDI_NO_BOOT_ORIGIN: ['system', 'neither the firmware nor a DHCP lease names a URL that the machine booted from'],
  ERR_DDI_PULL_ARCHIVE: ['image', 'a downloaded archive is malformed or cut off, or has members outside its directory'],
  ERR_DDI_PULL_SIGNATURE: ['image', 'the signature of checksums is missing, malformed, or not by a trusted key'],
  ERR_DDI_NO_ROOT_HASH: ['image', 'there is no root hash to verify the image against'],
  ERR_DDI_ROOT_HASH_MISMATCH: ['image', 'no partition carries the UUID that the root hash asks for'],
  ERR_DDI_ROOT_HASH_WRONG: ['image', 'the hash tree does not hash to the root hash'],
  ERR_DDI_NOT_COVERED: [
    'image',
    'a root hash was given, and a volume that would hold executables is not covered by one',
  ],
  ERR_DDI_VERITY_MISSING: ['image', 'a root hash is known, but no hash tree was found'],
  ERR_DDI_VERITY_SUPERBLOCK: [
    'image',
    'a verity superblock is missing, malformed or claims what its volume cannot hold',
  ],
  ERR_DDI_VERITY_ALGORITHM: ['image', 'a verity superblock names a hash algorithm other than sha256 or sha512'],
  ERR_DDI_VERITY_CORRUPT: ['image', 'blocks do not match the hash tree'],
  ERR_DDI_FILE_SYSTEM: ['image', 'a volume holds what is not mounted from images, or what this kernel cannot mount'],
  ERR_DDI_NOTHING_TO_ATTACH: ['image', 'the image has no volume that this machine would attach'],
  ERR_DDI_PERMISSION: ['permission', 'the operation needs privileges that this process does not have'],
  ERR_DDI_NO_SPACE: ['system', 'a disk has not as much free space as a volume needs'],
  ERR_DDI_TABLE_FULL: ['system', 'a partition table has no room for another entry'],
  ERR_DDI_SUPER_GROUP: ['system', 'a group of logical partitions has, or would have, more than it may'],
  ERR_DDI_TOOL: ['system', 'a tool that makes, fills, checks or resizes a file system failed'],
  ERR_DDI_NOT_FOUND: ['system', 'a file that was named does not exist'],
  ERR_DDI_IO: ['system', 'reading failed'],
  ERR_DDI_ABORTED: ['system', 'the caller asked to stop'],
  ERR_DDI_ADDON_MISSING: ['system', 'the native addon is not there, or not for this platform'],
  ERR_DDI_LIBRARY_MISSING: ['system', 'a system library or tool is not installed'],
  ERR_DDI_SIGNATURE_KERNEL: ['system', 'the kernel cannot verify a root hash signature, or does not trust it'],
  ERR_DDI_NO_LOOP: ['system', 'the kernel offers no loop devices here'],
  ERR_DDI_SIGNER: ['system', 'a command that signs root hashes failed'],
  ERR_DDI_PULL_NOT_FOUND: ['system', 'the server has no such file'],
  ERR_DDI_PULL_RESPONSE: ['system', 'the server does not answer with the requested file'],
  ERR_DDI_PULL_REDIRECT: ['system', 'the server redirects endlessly, nowhere, or to a less safe place'],
  ERR_DDI_PULL_BROKEN: ['system', 'the connection keeps breaking, or the server does not answer'],
  ERR_DDI_PULL_CHANGED: ['system', 'a file changed on the server while it was downloaded'],
  ERR_DDI_PULL_KEYRING: ['system', 'there is no valid keyring to verify signatures with'],
  ERR_DDI_NO_FREE_LOOP: ['system', 'no loop device is free'],
  ERR_DDI_NO_DEVICE_MAPPER: ['system', 'the kernel has no device-mapper, and the plan needs one'],
  ERR_DDI_MISSING_TARGET: ['system', 'device-mapper lacks a target (its module is not loaded)'],
  ERR_DDI_NAME_IN_USE: ['system', 'an attachment or device of that name exists'],
  ERR_DDI_NOT_ATTACHED: ['system', 'nothing is attached under that name, image or device'],
  ERR_DDI_BUSY: ['system', 'a device is in use'],
  ERR_DDI_KERNEL: ['system', 'the kernel refused an operation'],
} as const satisfies Record<string, readonly [ErrorKind, string]>

export type ErrorCode = keyof typeof errorCodes

/** What a failed system call leaves, as in Node's own system errors. */
export interface SystemErrorFields {
  /** Negative, as in Node. */
  readonly errno?: number
  readonly syscall?: string
  /** The device, file or device-mapper name that the call was about. */
  readonly path?: string
}

/** The one class of error that this library throws. */
export class DdiError extends Error implements SystemErrorFields {
  override readonly name = 'DdiError'
  readonly code: ErrorCode
  readonly errno?: number
  readonly syscall?: string
  readonly path?: string

  /**
   * @param code stable, for programs
   * @param message what, where, and what to do next, for people
   */
  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown } & SystemErrorFields = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    if (options.errno !== undefined) this.errno = options.errno
    if (options.syscall !== undefined) this.syscall = options.syscall
    if (options.path !== undefined) this.path = options.path
  }

  get kind(): ErrorKind {
    return errorCodes[this.code][0]
  }
}

/** The symbolic name of a system error (`ENOENT`), or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined
}

/**
 * Turns a failed system call into a DdiError that keeps its fields.
 * @param what what was being done, to start the message with
 * @param codes which code a symbolic errno gets; the rest is `ERR_DDI_KERNEL`, and missing rights `ERR_DDI_PERMISSION`
 */
export function systemError(error: unknown, what: string, codes: Readonly<Record<string, ErrorCode>> = {}): DdiError {
  if (error instanceof DdiError) return error
  const name = systemCode(error)
  const { errno, syscall, path } = error as SystemErrorFields
  const code =
    (name && codes[name]) ?? (name === 'EPERM' || name === 'EACCES' ? 'ERR_DDI_PERMISSION' : 'ERR_DDI_KERNEL')
  const reason = error instanceof Error ? error.message : String(error)
  const advice = code === 'ERR_DDI_PERMISSION' ? ' (run as root?)' : ''
  return new DdiError(code || 'ERR_DDI_KERNEL', `${what}: ${reason}${advice}`, {
    cause: error,
    ...(errno !== undefined && { errno }),
    ...(syscall !== undefined && { syscall }),
    ...(path !== undefined && { path }),
  })
}
