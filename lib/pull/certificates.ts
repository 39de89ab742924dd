import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { DdiError } from '../errors.js'
import { parseCertificates, parsePrivateKey } from '../verity/signature.js'

/** What a client proves to a server who it is with: certificate and key in PEM, or both in PKCS#12. */
export type ClientIdentity = (
  | { readonly certificate: string; readonly key: string }
  | { readonly pkcs12: Uint8Array }
) & {
  /** Of an encrypted key, or of the PKCS#12 file. */
  readonly passphrase?: string
}

/** The authorities that were found sound: many downloads of one process have the same, and parsing a hundred takes longer than a small one. */
let sound: { readonly given: string | Uint8Array; readonly pem: string } | undefined

/** Authorities in PEM, of PEM or DER. @throws ERR_DDI_CERTIFICATE */
export function soundAuthorities(given: string | Uint8Array): string {
  if (sound?.given !== given) {
    const certificates = parseCertificates(Buffer.from(given), 'the file of certificate authorities')
    sound = { given, pem: certificates.map(String).join('') }
  }
  return sound.pem
}

/**
 * Refuses certificates and keys that no connection can be made with.
 * @throws ERR_DDI_CERTIFICATE, ERR_DDI_KEY
 */
export function checkIdentity(client: ClientIdentity): void {
  if (!('pkcs12' in client)) {
    const [certificate] = parseCertificates(Buffer.from(client.certificate), 'the client certificate')
    parsePrivateKey(client.key, certificate!, client.passphrase)
  }
  try {
    createSecureContext(identityOf(client))
  } catch (error) {
    const { message } = error as Error
    const code = /mac verify failure/.test(message) ? 'ERR_DDI_KEY' : 'ERR_DDI_CERTIFICATE'
    const advice = code === 'ERR_DDI_KEY' ? ': is its passphrase right?' : ''
    throw new DdiError(code, `the client certificate is of no use: ${message}${advice}`, { cause: error })
  }
}

/** In the words of node:tls. */
export function identityOf(client: ClientIdentity): SecureContextOptions {
  const secret = client.passphrase === undefined ? {} : { passphrase: client.passphrase }
  return 'pkcs12' in client
    ? { pfx: Buffer.from(client.pkcs12), ...secret }
    : { cert: client.certificate, key: client.key, ...secret }
}
