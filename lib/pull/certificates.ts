import { createSecureContext } from 'node:tls'
import { DdiError } from '../errors.js'
import { parseCertificates, parsePrivateKey } from '../verity/signature.js'

/** What a client proves to a server who it is with; both PEM. */
export interface ClientIdentity {
  readonly certificate: string
  readonly key: string
}

/** The authorities that were found sound: many downloads of one process have the same, and parsing a hundred takes longer than a small one. */
let soundAuthorities: string | undefined

/**
 * Refuses certificates and keys that no connection can be made with.
 * @throws ERR_DDI_CERTIFICATE, ERR_DDI_KEY
 */
export function checkCertificates(authorities: string | undefined, client: ClientIdentity | undefined): void {
  if (authorities !== undefined && authorities !== soundAuthorities) {
    parseCertificates(Buffer.from(authorities), 'the file of certificate authorities')
    soundAuthorities = authorities
  }
  if (!client) return
  const [certificate] = parseCertificates(Buffer.from(client.certificate), 'the client certificate')
  parsePrivateKey(client.key, certificate!)
  try {
    createSecureContext({ cert: client.certificate, key: client.key })
  } catch (error) {
    throw new DdiError('ERR_DDI_CERTIFICATE', `the client certificate is of no use: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
