import type { ErrorCode } from '../errors.js'

/** What to type next. */
interface Hint {
  readonly text: string
  /** It fits only verbs that have this option. */
  readonly option?: string
  /** It fits only these messages, of a code that several things can cause. */
  readonly message?: RegExp
}

const rootHash: Hint = {
  option: '--root-hash',
  text: 'give the root hash with --root-hash or --usr-hash, or put it beside the image in IMAGE.roothash or IMAGE.usrhash',
}

/** The errors of the library name no options: here they are, by code. The first hint that fits is printed. */
const hints: Readonly<Partial<Record<ErrorCode, readonly Hint[]>>> = {
  ERR_DDI_LIMIT: [
    { message: /ENOMEM/, text: '`ulimit -v` shows how much memory a process may have' },
    { text: '`ulimit -n` shows how many files a process may open' },
  ],
  ERR_DDI_NO_ROOT_HASH: [rootHash],
  ERR_DDI_NOT_COVERED: [rootHash],
  ERR_DDI_NOTHING_TO_ATTACH: [
    {
      option: '--architecture',
      message: /volumes are for/,
      text: 'use the volumes for another processor with --architecture',
    },
    {
      option: '--volume',
      text: 'attach volumes by label or UUID with --volume; `ddi-attach inspect IMAGE` shows them',
    },
  ],
  ERR_DDI_SIGNATURE_UNTRUSTED: [
    {
      option: '--signature',
      message: /for the kernel to verify/,
      text: '--signature=kernel and --signature=both take signed images only',
    },
    {
      option: '--certificate',
      message: /certificate/,
      text: 'trust the signer with --certificate, or by a certificate in /etc/verity.d: verity.d(5)',
    },
  ],
  ERR_DDI_SPARSE_ENCODED: [{ text: 'expand it with `ddi-attach android convert IMAGE OUTPUT` first' }],
  ERR_DDI_STORE_NAME: [{ option: '--product', text: 'name them with --product and --version, or rename the file' }],
  ERR_DDI_SUPER_DEVICE: [
    { option: '--device', message: /missing/, text: 'give the path of the device with --device NAME=PATH' },
    { message: /missing/, text: 'put the device beside the image as NAME.img or NAME' },
  ],
  ERR_DDI_SUPER_SLOT: [{ option: '--slot', text: 'choose a slot with --slot' }],
  ERR_DDI_NO_VOLUME: [
    { option: '--volume', message: /\d super partitions/, text: 'choose the super partition with --volume' },
    { option: '--slot', text: '`ddi-attach android dump IMAGE` shows partitions and groups' },
    { text: '`ddi-attach inspect IMAGE` shows the volumes with their labels and UUIDs' },
  ],
  ERR_DDI_NOT_ATTACHED: [
    { option: '--resize-fs', text: 'attach it first: `ddi-attach attach DISK --volume NAME --writable`' },
    { text: '`ddi-attach list` shows what is attached' },
  ],
  ERR_DDI_NAME_IN_USE: [
    { option: '--name', text: 'choose another name with --name; `ddi-attach list` shows those in use' },
    { text: '`ddi-attach list` shows the names in use' },
  ],
  ERR_DDI_NAME: [{ option: '--name', message: /attachment/, text: 'choose another name with --name' }],
  ERR_DDI_BUSY: [
    { option: '--lazy', text: 'or remove the devices as soon as their last user is gone, with --lazy' },
    { message: /detach it first/, text: '`ddi-attach list` shows what is attached' },
  ],
  ERR_DDI_STORE_LAST_GOOD: [{ option: '--force', text: 'do it nevertheless with --force' }],
  ERR_DDI_EXISTS: [
    { option: '--force', message: /exist/, text: 'replace it with --force' },
    {
      option: '--disk',
      message: /is a block device|lies in \/dev/,
      text: 'write an image to a new volume of a disk with --disk and --volume',
    },
    { option: '--output', message: /is a (FIFO|character device)/, text: 'write to standard output with --output=-' },
  ],
  ERR_DDI_NO_SPACE: [
    {
      option: '--slot',
      message: /free in \d+ runs?/,
      text: 'remove or shrink a partition: `ddi-attach android dump IMAGE` shows them',
    },
    { message: /free in \d+ runs?/, text: 'remove or shrink a volume: `ddi-attach volume list DISK` shows them' },
    { option: '--esp-size', message: /EFI partition/, text: 'make it larger with --esp-size' },
  ],
  ERR_DDI_NO_TABLE: [
    { message: /^primary table/, text: 'a blank disk gets a table by `ddi-attach volume init DISK`' },
    { text: '`file IMAGE` says what it is; `ddi-attach pull` unpacks what is compressed, and qcow2 images' },
  ],
  ERR_DDI_NOT_FOUND: [
    { message: /^cannot mount on/, text: 'make the directory first, by mkdir' },
    { message: /openat2/, text: '`ddi-attach list-files IMAGE` shows what there is' },
  ],
  ERR_DDI_COMMAND_NOT_FOUND: [{ text: 'a command of the image is named by its path: ./usr/bin/NAME' }],
  ERR_DDI_NO_DEVICE_MAPPER: [{ text: '`modprobe dm_mod dm_verity` loads it, if this kernel has it as modules' }],
  ERR_DDI_MISSING_TARGET: [{ text: '`modprobe dm_verity` loads it, if this kernel has it as a module' }],
  ERR_DDI_NO_LOOP: [{ text: '`modprobe loop` loads it; a container needs /dev/loop-control and CAP_SYS_ADMIN' }],
  ERR_DDI_VOLUME_EXISTS: [
    { option: '--force', message: /has the label/, text: 'give it the same label all the same with --force' },
  ],
  ERR_DDI_GPT_LEFTOVER: [
    {
      text: 'if it is what the disk should be again, look at it with `ddi-attach volume check DISK --table=backup`',
    },
  ],
  ERR_DDI_GPT_NO_PROTECTIVE_MBR: [{ text: 'if it is, restore the MBR with `ddi-attach volume check DISK --repair`' }],
  ERR_DDI_SHRINK_REFUSED: [
    { option: '--force', text: 'shrink it all the same with --force, which destroys what is in it' },
  ],
  ERR_DDI_LOCKED: [{ option: '--passphrase-file', text: 'unlock it with --passphrase-file or --key-file' }],
  ERR_DDI_PASSPHRASE: [
    {
      option: '--passphrase-file',
      text: '--passphrase-file uses the first line of a file without its end, --key-file all bytes of a file',
    },
  ],
  ERR_DDI_WRITABLE_EXECUTABLE: [
    { option: '--policy', text: 'drop exec from --mount-options, or drop --writable, or drop --policy=wx' },
  ],
  ERR_DDI_MOUNT_POINT: [
    {
      option: '--in-memory-overlay',
      message: /its root has no directory/,
      text: 'mount it with --in-memory-overlay, which adds the directory in memory',
    },
  ],
  ERR_DDI_DEFINITION: [
    {
      option: '--key',
      message: /needs a key and/,
      text: 'sign with --certificate and --key, or with --certificate and --signer',
    },
    { option: '--key-file', message: /needs a key file/, text: 'give the key with --key-file' },
  ],
  ERR_DDI_PULL_NO_CHECKSUM: [
    { option: '--verify', text: 'give the SHA-256 with --verify=SHA256, or do not verify the image with --verify=no' },
  ],
  ERR_DDI_PULL_SIGNATURE: [
    { option: '--verify', text: 'choose the keys with --keyring, or verify checksums alone with --verify=checksum' },
  ],
  ERR_DDI_PULL_KEYRING: [
    { option: '--keyring', text: 'give the keys with --keyring, or verify checksums alone with --verify=checksum' },
  ],
  ERR_DDI_PULL_ARCHIVE: [
    { option: '--lossy', message: /Cannot set|Ignoring/, text: 'unpack it without what cannot be kept with --lossy' },
  ],
  ERR_DDI_KERNEL_VERSION: [
    { option: '--uname', message: /has to be given/, text: 'give the version with --uname' },
    { option: '--modules-from', message: /modules of/, text: 'name the directory of the modules with --modules-from' },
  ],
  ERR_DDI_MODULES: [
    {
      option: '--modules-from',
      message: /run depmod/,
      text: 'of modules in another root than /: run `depmod -b ROOT VERSION`, and give --modules-from ROOT/lib/modules/VERSION',
    },
  ],
  ERR_DDI_PULL_CERTIFICATE: [
    { option: '--ca', message: /issuer|first certificate|self.signed/, text: 'trust who signed it with --ca' },
  ],
  ERR_DDI_PULL_RESPONSE: [
    { message: /proxy/, text: 'proxies are those of http_proxy and https_proxy; no_proxy names hosts without' },
  ],
  ERR_DDI_PULL_MEMORY: [{ option: '--max-memory', text: 'allow more with --max-memory' }],
  ERR_DDI_PULL_TOO_LARGE: [{ option: '--max-size', text: 'raise the limit with --max-size' }],
}

/**
 * What to type to get past an error.
 * @param options the long names of the options of the verb that failed
 */
export function hintFor(
  { code, message: said }: { readonly code: ErrorCode; readonly message: string },
  options: readonly string[],
): string | undefined {
  return hints[code]?.find(
    ({ option, message }) =>
      (option === undefined || options.includes(option)) && (message === undefined || message.test(said)),
  )?.text
}
