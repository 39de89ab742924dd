import { type Command, Option } from 'commander'
import { DdiError } from '../errors.js'
import type { DissectOptions } from '../image/dissect.js'
import { type ImagePolicy, parseImagePolicy } from '../image/policy.js'
import type { SignatureMode } from '../image/signatures.js'
import { parseUuid } from '../uuid.js'
import { type JsonMode, parseJsonMode } from './output.js'

export interface JsonOption {
  readonly json: JsonMode
}

export interface ImageOptions extends JsonOption {
  readonly rootHash?: string
  readonly usrHash?: string
  readonly architecture?: string
  readonly nested?: boolean
  readonly imagePolicy?: ImagePolicy
  readonly certificate?: readonly string[]
  readonly signature: SignatureMode
}

export function withJson(command: Command): Command {
  return command.addOption(
    new Option('--json <mode>', 'print JSON: pretty, short (one line) or off').default('off').argParser(parseJsonMode),
  )
}

/** What every verb takes that judges an image. */
export function withImageOptions(command: Command): Command {
  return withJson(command)
    .option('--root-hash <hex>', 'trusted root hash of the root volume (default: IMAGE.roothash or its attribute)')
    .option('--usr-hash <hex>', 'trusted root hash of the usr volume (default: IMAGE.usrhash or its attribute)')
    .option('--architecture <name>', 'take volumes for this processor (x86-64, arm64, …), not this machine’s')
    .option('--nested', 'look for a GPT in every volume, not only where the type says so')
    .addOption(
      new Option(
        '--image-policy <policy>',
        'what the image has to be, and what of it is used: systemd.image-policy(7), or its name',
      ).argParser(parseImagePolicy),
    )
    .option('--certificate <file>', 'that may sign root hashes, besides those in verity.d; may be repeated', collect)
    .addOption(
      new Option('--signature <mode>', 'who verifies the signature of a root hash')
        .choices(['auto', 'userspace', 'kernel', 'both'])
        .default('auto'),
    )
}

/** For options that may be given more than once. */
export function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value]
}

export async function dissectOptions(options: ImageOptions): Promise<DissectOptions> {
  const { rootHash, usrHash, architecture, imagePolicy, certificate, signature } = options
  return {
    signature,
    ...(imagePolicy && { policy: imagePolicy }),
    ...(certificate && {
      certificates: await (await import('../image/certificates.js')).trustedCertificates(certificate),
    }),
    ...(rootHash !== undefined && { rootHash }),
    ...(usrHash !== undefined && { usrHash }),
    ...(architecture !== undefined && { architectures: [architecture] }),
  }
}

/** `a`, `_b` or `1`. @throws ERR_DDI_USAGE */
export function parseSlot(text: string): number {
  const letter = /^_?([a-z])$/i.exec(text)?.[1]
  if (letter) return letter.toLowerCase().charCodeAt(0) - 'a'.charCodeAt(0)
  if (/^\d{1,3}$/.test(text)) return Number(text)
  throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(text)} is no slot: a, b, … or 0, 1, …`)
}

/** A UUID in lower case. @throws ERR_DDI_USAGE */
export function checkedUuid(text: string): string {
  if (!parseUuid(text)) throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(text)} is not a UUID`)
  return text.toLowerCase()
}
