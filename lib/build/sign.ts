import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { DdiError, systemCode, systemError } from '../errors.js'
import { checkOptions } from '../options.js'
import { startProgram } from '../tool.js'
import {
  certificateFingerprint,
  type SignatureRecord,
  signRootHash,
  verifyRootHashSignature,
} from '../verity/signature.js'
import { throwIfAborted, type Work, workNames } from '../work.js'

/**
 * What signs: a private key in PEM, a command that reads the root hash in hexadecimal and writes PKCS#7 in DER or PEM, or signatures that
 * were made somewhere else.
 */
export type Signer =
  | { readonly kind: 'made'; readonly signatures: readonly MadeSignature[]; readonly certificate: X509Certificate }
  | { readonly kind: 'key'; readonly key: Uint8Array; readonly certificate: X509Certificate }
  | { readonly kind: 'command'; readonly command: string; readonly certificate: X509Certificate }

/** A signature of a root hash that was made elsewhere. */
export interface MadeSignature {
  readonly rootHash: Uint8Array
  /** PKCS#7 in DER. */
  readonly signature: Uint8Array
}

/**
 * Signs a root hash, and verifies the signature.
 * @throws ERR_DDI_USAGE if none was made of it, ERR_DDI_KEY, ERR_DDI_SIGNER if the command fails, what `verifyRootHashSignature` throws for its output, and
 *   ERR_DDI_ABORTED
 */
export async function sign(rootHash: Uint8Array, signer: Signer, work: Work = {}): Promise<SignatureRecord> {
  checkOptions(work, workNames, 'sign')
  const { certificate } = signer
  const signature = await signatureOf(rootHash, signer, work.signal)
  await verifyRootHashSignature(rootHash, signature, [certificate])
  return { rootHash, signature, certificateFingerprint: certificateFingerprint(certificate) }
}

async function signatureOf(rootHash: Uint8Array, signer: Signer, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const hex = Buffer.from(rootHash).toString('hex')
  if (signer.kind === 'key') return await signRootHash(rootHash, signer.key, signer.certificate)
  if (signer.kind === 'command') return await runSigner(signer.command, hex, signal)
  const made = signer.signatures.find((one) => Buffer.from(one.rootHash).equals(rootHash))
  if (!made) throw new DdiError('ERR_DDI_USAGE', `no signature of root hash ${hex} was given`)
  return made.signature
}

async function runSigner(command: string, rootHash: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  throwIfAborted(signal)
  const child = await startProgram(['/bin/sh', '-c', command], { signal })
  // A command that does not read its input may have exited before it is written: its exit status says more.
  child.stdin.on('error', (error) => {
    if (systemCode(error) !== 'EPIPE') child.kill()
  })
  child.stdin.end(rootHash)
  const [answer, said, [status]] = await Promise.all([
    buffer(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]).catch((error: unknown) => {
    throwIfAborted(signal)
    throw systemError(error, `cannot run ${command}`)
  })
  if (status !== 0) throw new DdiError('ERR_DDI_SIGNER', `${command} failed with status ${status}: ${said.trim()}`)
  const pem = /-----BEGIN (?:PKCS7|CMS)-----([^-]+)-----END/.exec(answer.toString('latin1'))
  return pem ? Buffer.from(pem[1]!, 'base64') : answer
}
