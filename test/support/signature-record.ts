import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { certificateFingerprint, encodeSignatureRecord, parseCertificates } from '../../lib/verity/index.js'
import type { Identity } from './keys.js'
import { run } from './run.js'

/** The record of a signature volume, signed by openssl as systemd-repart does it. @param rootHash in hexadecimal */
export function signatureRecord(folder: string, rootHash: string, { key, certificate }: Identity): Uint8Array {
  const [text, signature] = [join(folder, 'root-hash'), join(folder, 'root-hash.p7s')]
  writeFileSync(text, rootHash)
  const how = ['-binary', '-noattr', '-nocerts', '-outform', 'DER'] as const
  run('openssl', 'smime', '-sign', ...how, '-signer', certificate, '-inkey', key, '-in', text, '-out', signature)
  const [parsed] = parseCertificates(readFileSync(certificate), certificate)
  return encodeSignatureRecord({
    rootHash: Buffer.from(rootHash, 'hex'),
    signature: readFileSync(signature),
    certificateFingerprint: certificateFingerprint(parsed!),
  })
}
