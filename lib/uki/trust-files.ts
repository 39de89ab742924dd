import type { X509Certificate } from 'node:crypto'
import { readSmallFile } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'
import type { OptionNames } from '../options.js'
import { certificateFingerprint, parseCertificates } from '../verity/signature.js'

/** What an initrd holds images and servers against. */
export interface TrustOptions {
  /** Trusted signers of root hashes. */
  readonly certificates?: readonly X509Certificate[]
  /** File of certificate authorities for HTTPS, PEM. Default: that of this machine, if it has one; of another initrd, its own. */
  readonly authorities?: string
  /** File of keys that sign checksums, OpenPGP. */
  readonly keyring?: string
}

export const trustOptionNames: OptionNames<TrustOptions> = { certificates: true, authorities: true, keyring: true }

/** The files that they are read from. */
export function trustInputs({ authorities, keyring }: TrustOptions): readonly string[] {
  return [authorities, keyring].filter((path) => path !== undefined)
}

/** A file, relative to the root of an initrd. */
export interface TrustFile {
  readonly path: string
  readonly content: Uint8Array
}

/** What is in an initrd, anybody can read. @throws ERR_DDI_CERTIFICATE */
function requireAuthorities(file: TrustFile): TrustFile {
  const text = Buffer.from(file.content).toString('latin1')
  if (text.includes('PRIVATE KEY-----'))
    throw new DdiError('ERR_DDI_CERTIFICATE', 'the file of certificate authorities holds a private key')
  parseCertificates(file.content, 'the file of certificate authorities')
  return file
}

/** They are where the boot program, and systemd, look. @throws ERR_DDI_NOT_FOUND, ERR_DDI_FILE_KIND, ERR_DDI_PERMISSION, ERR_DDI_CERTIFICATE */
export async function trustFiles({ certificates = [], authorities, keyring }: TrustOptions): Promise<TrustFile[]> {
  // Two of one certificate are one.
  const signers = new Map(certificates.map((one) => [certificateFingerprint(one), one.toString()]))
  const copied = async (path: string, from: string | undefined) =>
    from === undefined ? [] : [{ path, content: await readSmallFile(from) }]
  return [
    ...[...signers].map(([name, text]) => ({ path: `etc/verity.d/${name}.crt`, content: Buffer.from(text) })),
    ...(await copied('etc/ssl/certs/ca-certificates.crt', authorities)).map(requireAuthorities),
    ...(await copied('etc/systemd/import-pubring.pgp', keyring)),
  ]
}
