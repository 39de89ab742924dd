import type { X509Certificate } from 'node:crypto'
import { DdiError } from '../errors.js'
import { trustedCertificates } from '../image/certificates.js'
import type { DissectOptions } from '../image/dissect.js'
import type { CorruptionAction } from '../image/plan.js'
import { type ImagePolicy, namedPolicies, parseImagePolicy } from '../image/policy.js'
import type { MountOptions } from '../mount/options.js'
import { parseCertificates } from '../verity/signature.js'
import { choice } from './choice.js'
import { given } from './given.js'
import { readGiven } from './given-file.js'
import { untilInterrupted } from './interrupt.js'
import type { Parser } from './parser.js'
import { architectureName, mountOptionsOf, ownerRange, rootHash, text } from './values.js'
import { argument, flag, option, repeatable, type ValuesOf } from './verb.js'

// Options that several verbs have: they spread them into theirs.

const imagePolicy: Parser<ImagePolicy> = Object.assign((given: string) => parseImagePolicy(given), {
  suggests: Object.keys(namedPolicies),
})

/** Of every verb that judges an image. */
export const imageOptions = {
  rootHash: option(
    '--root-hash <hex>',
    'trusted root hash of the root volume (default: from IMAGE.roothash or its attribute)',
    rootHash,
  ),
  usrHash: option(
    '--usr-hash <hex>',
    'trusted root hash of the usr volume (default: from IMAGE.usrhash or its attribute)',
    rootHash,
  ),
  verityData: option(
    '--verity-data <file>',
    'file with the hash tree of the volume of the root hash (default: a partition, or IMAGE.verity)',
    text,
  ),
  rootHashSignature: option(
    '--root-hash-signature <file>',
    'signature of the given root hash, or base64:TEXT (default: from IMAGE.roothash.p7s, or in the image)',
    text,
  ),
  architecture: option(
    '--architecture <name>',
    'use the volumes for this processor: x86-64, arm64, … (default: that of this machine)',
    architectureName,
  ),
  nested: flag('--nested', 'look for a GPT in every volume, not only where the type says so'),
  imagePolicy: option(
    '--image-policy <policy>',
    'what the image must be, and which volumes are used: systemd.image-policy(7), or the name of a policy',
    imagePolicy,
  ),
  strict: flag(
    '--strict',
    'leave out a root that no root hash covers where one covers /usr, instead of having nothing of it executed',
  ),
  certificate: repeatable('--certificate <file>', 'trust this signer of root hashes besides those of verity.d', text),
  signature: option(
    '--signature <mode>',
    'who verifies the signature of a root hash',
    choice('auto', 'userspace', 'kernel', 'both'),
    'auto',
  ),
}

export type ImageValues = ValuesOf<typeof imageOptions>

export async function dissectOptions(options: ImageValues): Promise<DissectOptions> {
  const { rootHash, usrHash, verityData, architecture, imagePolicy, certificate, signature, strict } = options
  const certificates = await certificatesOf(certificate)
  return given({
    signature,
    strict,
    verityData,
    rootHashSignature: await signatureGiven(options.rootHashSignature),
    rootHash,
    usrHash,
    certificates,
    policy: imagePolicy,
    architectures: architecture === undefined ? undefined : [architecture],
  })
}

const inText = 'base64:'

/** Of a file, or as systemd-dissect takes it. @throws as {@link readGiven} */
export async function signatureGiven(from: string | undefined): Promise<Uint8Array | undefined> {
  return from?.startsWith(inText)
    ? Buffer.from(from.slice(inText.length), 'base64')
    : from === undefined
      ? undefined
      : await readGiven(from)
}

export const imageArgument = argument('<image>', 'image file or block device')

/** Of verbs that plan what dm-verity does. */
export const checkingOptions = {
  restartOnCorruption: flag('--restart-on-corruption', 'restart the machine when a block does not match its hash'),
  panicOnCorruption: flag('--panic-on-corruption', 'let the kernel panic when a block does not match its hash'),
  ignoreZeroBlocks: flag('--ignore-zero-blocks', 'blocks whose hash is that of zeroes are not read'),
  checkAtMostOnce: flag('--check-at-most-once', 'check data blocks the first time only, not what changes later'),
}

/** How the kernel is to check blocks. @throws ERR_DDI_USAGE if two actions are given */
export function checkingOf(options: ValuesOf<typeof checkingOptions>) {
  const { ignoreZeroBlocks, checkAtMostOnce } = options
  return { ...given({ onCorruption: corruptionAction(options) }), ignoreZeroBlocks, checkAtMostOnce }
}

/** @throws ERR_DDI_USAGE if both are given */
function corruptionAction({
  restartOnCorruption,
  panicOnCorruption,
}: ValuesOf<typeof checkingOptions>): CorruptionAction | undefined {
  if (restartOnCorruption && panicOnCorruption)
    throw new DdiError('ERR_DDI_USAGE', 'give only one of --restart-on-corruption and --panic-on-corruption')
  return restartOnCorruption ? 'restart' : panicOnCorruption ? 'panic' : undefined
}

/** Of verbs that plan an attachment. */
export const planOptions = {
  name: option('--name <name>', 'name of the attachment, part of its device names (default: from the file name)', text),
  volume: repeatable('--volume <name>', 'attach only this volume, given by label or UUID', text),
  writable: flag('--writable', 'make unprotected volumes writable'),
  ...checkingOptions,
}

/** Of verbs that read the files of an image. */
export const treeOptions = {
  passphraseFile: option('--passphrase-file <file>', 'its first line unlocks LUKS volumes; - is standard input', text),
  keyFile: option('--key-file <file>', 'all of its bytes unlock LUKS volumes', text),
  ...imageOptions,
}

/** Of verbs that copy files. */
export const ownershipOptions = {
  copyOwnership: option(
    '--copy-ownership <whether>',
    'keep user, group and set-ID bits of what is copied; auto: of directories alone',
    choice('auto', 'yes', 'no'),
    'auto',
  ),
}

export function ownershipOf({ copyOwnership }: ValuesOf<typeof ownershipOptions>) {
  return copyOwnership === 'auto' ? {} : { ownership: copyOwnership === 'yes' }
}

/** Of verbs that mount an image. */
export const mountOptions = {
  writable: flag('--writable', 'mount unprotected volumes writable, without permission to execute'),
  mountOptions: repeatable(
    '--mount-options <designator:options>',
    'mount(8) options for a volume, such as home:noatime',
    mountOptionsOf,
  ),
  discard: option(
    '--discard <where>',
    'where freed blocks are discarded: nowhere, on loop devices, or on all devices',
    choice('disabled', 'loop', 'all'),
    'loop',
  ),
  noCheck: flag('--no-check', 'do not check writable file systems first'),
  noGrow: flag('--no-grow', 'do not grow file systems on volumes whose flag asks for it'),
  inMemory: flag('--in-memory', 'copy the image into memory first, and mount the copy'),
  inMemoryOverlay: flag(
    '--in-memory-overlay',
    'write to memory only, without permission to execute; changes are lost when it is unmounted',
  ),
  owners: option(
    '--owners <inside:outside:count>',
    'show COUNT owners from INSIDE on, as the image has them, as those from OUTSIDE on',
    ownerRange,
  ),
  ...checkingOptions,
  policy: option('--policy <policy>', 'wx: refuse what would be both writable and executable', choice('wx')),
  ...treeOptions,
}

/** How the library reads or mounts an image. */
export async function treeWork(options: ValuesOf<typeof treeOptions>): Promise<MountOptions> {
  const { nested, passphraseFile, keyFile } = options
  const key = keyFile ?? passphraseFile
  return {
    ...(await dissectOptions(options)),
    ...given({ unlock: key === undefined ? undefined : () => readKey(key, keyFile === undefined) }),
    nested,
    signal: untilInterrupted(),
  }
}

export async function mountWork(options: ValuesOf<typeof mountOptions>): Promise<MountOptions> {
  const { writable, discard, noCheck, noGrow, inMemory, inMemoryOverlay, owners, policy } = options
  return {
    ...(await treeWork(options)),
    ...given({ owners }),
    ...checkingOf(options),
    writable,
    mountOptions: Object.fromEntries(options.mountOptions),
    discard,
    check: !noCheck,
    grow: !noGrow,
    inMemory,
    inMemoryOverlay,
    writeXorExecute: policy === 'wx',
  }
}

/** Those that options name, and those of verity.d; undefined if options name none. */
export async function certificatesOf(paths: readonly string[]): Promise<readonly X509Certificate[] | undefined> {
  if (paths.length === 0) return undefined
  return [...(await namedCertificates(paths)), ...(await trustedCertificates())]
}

/** @throws ERR_DDI_CERTIFICATE, and as {@link readGiven} */
export async function namedCertificates(paths: readonly string[]): Promise<readonly X509Certificate[]> {
  return (await Promise.all(paths.map(async (path) => parseCertificates(await readGiven(path), path)))).flat()
}

/** A passphrase ends with its line; a key is all of its file. */
async function readKey(path: string, isText: boolean): Promise<Uint8Array> {
  const bytes = await readGiven(path)
  const end = isText ? bytes.indexOf('\n') : -1
  return end < 0 ? bytes : bytes.subarray(0, end)
}
