import type { Signer } from '../build/sign.js'
import { DdiError } from '../errors.js'
import { parseCertificates } from '../verity/signature.js'
import { readGiven } from './given-file.js'

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
