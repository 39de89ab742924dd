import type { Signer } from '../build/sign.js'
import { DdiError } from '../errors.js'
import { parseRootHash } from '../verity/root-hash.js'
import { parseCertificates } from '../verity/signature.js'
import { readGiven } from './given-file.js'

/**
 * Signatures that were made somewhere else.
 * @param made root hashes and the paths of their signatures
 * @throws ERR_DDI_USAGE, ERR_DDI_CERTIFICATE, ERR_DDI_ROOT_HASH_FORMAT, and as {@link readGiven}
 */
export async function madeSigner(
  certificatePath: string | undefined,
  made: readonly (readonly [string, string])[],
): Promise<Signer> {
  if (certificatePath === undefined) throw new DdiError('ERR_DDI_USAGE', 'give --certificate with --join-signature')
  const [certificate] = parseCertificates(await readGiven(certificatePath), certificatePath)
  if (!certificate) throw new DdiError('ERR_DDI_USAGE', `${certificatePath} has no certificate`)
  const signatures = []
  for (const [rootHash, path] of made)
    signatures.push({ rootHash: parseRootHash(rootHash), signature: await readGiven(path) })
  return { kind: 'made', signatures, certificate }
}

/**
 * Who signs, from the options of a verb.
 * @param key path of the private key; either it or `signer`, a command, is there
 * @throws ERR_DDI_USAGE, ERR_DDI_CERTIFICATE, and as {@link readGiven}
 */
export async function signerOf(
  certificatePath: string,
  key: string | undefined,
  signer: string | undefined,
): Promise<Signer> {
  const [certificate] = parseCertificates(await readGiven(certificatePath), certificatePath)
  if (!certificate || (key === undefined) === (signer === undefined))
    throw new DdiError('ERR_DDI_USAGE', 'give --certificate, and either --key or --signer')
  return signer === undefined
    ? { kind: 'key', key: await readGiven(key!), certificate }
    : { kind: 'command', command: signer, certificate }
}
