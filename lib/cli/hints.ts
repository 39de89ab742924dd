import type { DdiError, ErrorCode } from '../errors.js'

/** What to type next. */
interface Hint {
  readonly text: string
  /** It fits only verbs that have this option. */
  readonly option?: string
  /** It fits only messages that match, for codes that arise for several reasons. */
  readonly message?: RegExp
}

const list: Hint = { text: '`ddi-attach list` shows what is attached' }
const inspect: Hint = { text: '`ddi-attach inspect IMAGE` shows the volumes and their names' }
const rootHash: Hint = {
  option: '--root-hash',
  text: 'give the root hash with --root-hash or --usr-hash, or put it beside the image in IMAGE.roothash or IMAGE.usrhash',
}
const convert: Hint = { text: 'write it out with `ddi-attach android convert IMAGE NEW-IMAGE` first' }

/** The errors of the library name no options: here they are, by code. The first hint that fits is printed. */
const hints: Partial<Record<ErrorCode, readonly Hint[]>> = {
  ERR_DDI_NO_ROOT_HASH: [rootHash],
  ERR_DDI_NOT_COVERED: [rootHash],
  ERR_DDI_NOTHING_TO_ATTACH: [
    {
      option: '--architecture',
      message: /volumes are for/,
      text: 'take the volumes of another processor with --architecture',
    },
    {
      option: '--volume',
      text: 'attach volumes by label or UUID with --volume; `ddi-attach inspect IMAGE` shows them',
    },
  ],
  ERR_DDI_SIGNATURE_UNTRUSTED: [
    {
      option: '--certificate',
      text: 'give the certificate of the signer with --certificate, or install it as verity.d(5) says',
    },
  ],
  ERR_DDI_SPARSE_ENCODED: [convert],
  ERR_DDI_SUPER_DEVICE: [
    { option: '--device', message: /not there/, text: 'give the path of the device with --device NAME=PATH' },
  ],
  ERR_DDI_SUPER_SLOT: [{ option: '--slot', text: 'choose another slot with --slot' }],
  ERR_DDI_NO_VOLUME: [
    { option: '--volume', message: /super partitions/, text: 'choose the super partition with --volume' },
    inspect,
  ],
  ERR_DDI_NOT_ATTACHED: [
    { option: '--resize-fs', text: 'attach it first: `ddi-attach attach DISK --volume NAME --read-write`' },
    list,
  ],
  ERR_DDI_NAME_IN_USE: [
    { option: '--name', text: 'choose another name with --name; `ddi-attach list` shows those in use' },
    list,
  ],
  ERR_DDI_NAME: [{ option: '--name', text: 'choose another name with --name' }],
  ERR_DDI_BUSY: [
    { option: '--lazy', text: 'detach with --lazy to remove the devices as soon as their last user is gone' },
    list,
  ],
  ERR_DDI_EXISTS: [{ option: '--force', text: 'replace it with --force' }],
  ERR_DDI_SHRINK_REFUSED: [{ option: '--force', text: 'shrink it nevertheless with --force, which loses data' }],
  ERR_DDI_LOCKED: [{ option: '--passphrase-file', text: 'unlock it with --passphrase-file or --key-file' }],
  ERR_DDI_PASSPHRASE: [
    { option: '--passphrase-file', text: '--passphrase-file takes the first line of a file, --key-file all of it' },
  ],
  ERR_DDI_WRITABLE_EXECUTABLE: [
    {
      option: '--policy',
      text: 'drop `exec` from --mount-options, mount without --read-write, or leave --policy=wx out',
    },
  ],
  ERR_DDI_MOUNT_POINT: [
    { option: '--in-memory-overlay', text: 'mount with --in-memory-overlay, where the missing directory can be made' },
  ],
  ERR_DDI_DEFINITION: [
    {
      option: '--key',
      message: /Verity=signature/,
      text: 'sign with --certificate and --key, or --certificate and --signer',
    },
  ],
  ERR_DDI_PULL_NO_CHECKSUM: [
    { option: '--verify', text: 'give the SHA-256 with --verify=SHA256, or trust the server with --verify=no' },
  ],
  ERR_DDI_PULL_SIGNATURE: [
    { option: '--verify', text: 'choose the keys with --keyring; --verify=checksum does without a signature' },
  ],
  ERR_DDI_PULL_KEYRING: [
    { option: '--keyring', text: 'give the keys with --keyring, or do without a signature with --verify=checksum' },
  ],
  ERR_DDI_PULL_TOO_LARGE: [{ option: '--max-size', text: 'raise the limit with --max-size' }],
}

/**
 * What to type to get past an error.
 * @param options the long names of the options of the verb that failed
 */
export function hintFor(error: DdiError, options: readonly string[]): string | undefined {
  return hints[error.code]?.find(
    ({ option, message }) =>
      (option === undefined || options.includes(option)) && (message === undefined || message.test(error.message)),
  )?.text
}
