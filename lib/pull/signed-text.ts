import type { PublicKey, VerifyMessageResult } from 'openpgp'
import { DdiError } from '../errors.js'
import { readKeyring } from './keyring.js'
import type { Transport } from './transport.js'

const largestSignature = 256 * 1024

/**
 * A text that a key of a keyring signed: within (RFC 9580, section 7), or in a file beside it, of its name and `.gpg` or `.asc`.
 * @param url of the text
 * @returns the part that is signed
 * @throws ERR_DDI_PULL_SIGNATURE, ERR_DDI_PULL_KEYRING, and what the transport throws
 */
export async function signedText(
  transport: Transport,
  url: URL,
  bytes: Uint8Array,
  keyring: string | undefined,
): Promise<string> {
  const keys = await readKeyring(keyring)
  const text = Buffer.from(bytes).toString('utf8')
  const refuse: Refuse = (what, cause) => new DdiError('ERR_DDI_PULL_SIGNATURE', `${url}: ${what}`, { cause })
  if (text.startsWith('-----BEGIN PGP SIGNED MESSAGE-----')) return await clearText(text, keys, refuse)
  for (const ending of ['.gpg', '.asc']) {
    const found = await transport.read(
      Object.assign(new URL(url), { pathname: `${url.pathname}${ending}` }),
      largestSignature,
    )
    if (!found) continue
    await verifyDetached(bytes, found, keys, refuse)
    return text
  }
  throw refuse('not signed: there is no .gpg or .asc beside it')
}

type Refuse = (what: string, cause?: unknown) => DdiError

async function clearText(text: string, verificationKeys: PublicKey[], refuse: Refuse): Promise<string> {
  const openpgp = await import('openpgp')
  const message = await openpgp.readCleartextMessage({ cleartextMessage: text }).catch((error: unknown) => {
    throw refuse(`malformed signature: ${(error as Error).message}`, error)
  })
  const { signatures } = await openpgp.verify({ message, verificationKeys })
  await requireOne(signatures, refuse)
  return message.getText()
}

async function verifyDetached(
  bytes: Uint8Array,
  found: Uint8Array,
  verificationKeys: PublicKey[],
  refuse: Refuse,
): Promise<void> {
  const openpgp = await import('openpgp')
  const armored = Buffer.from(found).toString('latin1')
  const signature = await (armored.startsWith('-----BEGIN')
    ? openpgp.readSignature({ armoredSignature: armored })
    : openpgp.readSignature({ binarySignature: Uint8Array.from(found) })
  ).catch((error: unknown) => {
    throw refuse(`malformed signature: ${(error as Error).message}`, error)
  })
  const message = await openpgp.createMessage({ binary: Uint8Array.from(bytes) })
  const { signatures } = await openpgp.verify({ message, signature, verificationKeys })
  await requireOne(signatures, refuse)
}

async function requireOne(signatures: VerifyMessageResult['signatures'], refuse: Refuse): Promise<void> {
  const reasons: string[] = []
  for (const { verified } of signatures) {
    try {
      await verified
      return
    } catch (error) {
      reasons.push((error as Error).message)
    }
  }
  throw refuse(`not signed by any key in the keyring (${reasons.join('; ') || 'no signature'})`)
}
