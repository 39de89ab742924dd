import { spawn } from 'node:child_process'
import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { DdiError, systemCode } from '../errors.js'
import {
  certificateFingerprint,
  type SignatureRecord,
  signRootHash,
  verifyRootHashSignature,
} from '../verity/signature.js'

/** Who signs: a private key in PEM, or a command that gets the root hash in hexadecimal and answers with PKCS#7 in DER or PEM. */
export type Signer =
  | { readonly kind: 'key'; readonly key: Uint8Array; readonly certificate: X509Certificate }
  | { readonly kind: 'command'; readonly command: string; readonly certificate: X509Certificate }

/**
 * Signs a root hash, and makes sure that the signature holds.
 * @throws ERR_DDI_KEY, ERR_DDI_SIGNER where the command fails, and what `verifyRootHashSignature` throws of what it answers
 */
export async function sign(rootHash: Uint8Array, signer: Signer): Promise<SignatureRecord> {
  const { certificate } = signer
  const signature =
    signer.kind === 'key'
      ? await signRootHash(rootHash, signer.key, certificate)
      : await runSigner(signer.command, Buffer.from(rootHash).toString('hex'))
  await verifyRootHashSignature(rootHash, signature, [certificate])
  return { rootHash, signature, certificateFingerprint: certificateFingerprint(certificate) }
}

async function runSigner(command: string, rootHash: string): Promise<Uint8Array> {
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'pipe'] })
  // One that does not read its input may be gone before it is written, which its status tells better.
  child.stdin.on('error', (error) => {
    if (systemCode(error) !== 'EPIPE') child.kill()
  })
  child.stdin.end(rootHash)
  const [answer, said, [status]] = await Promise.all([buffer(child.stdout), text(child.stderr), once(child, 'exit')])
  if (status !== 0) throw new DdiError('ERR_DDI_SIGNER', `${command} failed with status ${status}: ${said.trim()}`)
  const pem = /-----BEGIN (?:PKCS7|CMS)-----([\s\S]+?)-----END/.exec(answer.toString('latin1'))
  return pem ? Buffer.from(pem[1]!, 'base64') : answer
}
