import type { X509Certificate } from 'node:crypto'
import { readSmallFile } from '../bytes/small-file.js'
import type { OptionNames } from '../options.js'
import { certificateFingerprint } from '../verity/signature.js'

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

/** A file, relative to the root of an initrd. */
export interface TrustFile {
  readonly path: string
  readonly content: Uint8Array
}

/** They are where the boot program, and systemd, look. @throws ERR_DDI_NOT_FOUND, ERR_DDI_FILE_KIND, ERR_DDI_PERMISSION */
export async function trustFiles({ certificates = [], authorities, keyring }: TrustOptions): Promise<TrustFile[]> {
  // Two of one certificate are one.
  const signers = new Map(certificates.map((one) => [certificateFingerprint(one), one.toString()]))
  const copied = async (path: string, from: string | undefined) =>
    from === undefined ? [] : [{ path, content: await readSmallFile(from) }]
  return [
    ...[...signers].map(([name, text]) => ({ path: `etc/verity.d/${name}.crt`, content: Buffer.from(text) })),
    ...(await copied('etc/ssl/certs/ca-certificates.crt', authorities)),
    ...(await copied('etc/systemd/import-pubring.pgp', keyring)),
  ]
}
