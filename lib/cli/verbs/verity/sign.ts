import { sign } from '../../../build/sign.js'
import { refuseNewFile, writeNewFile } from '../../../bytes/new-file.js'
import { printable } from '../../../text.js'
import { parseRootHash } from '../../../verity/root-hash.js'
import { encodeSignatureRecord } from '../../../verity/signature.js'
import { dryRunOption } from '../../dry-run.js'
import { readGiven } from '../../given-file.js'
import { print, printJson } from '../../output.js'
import { object } from '../../schema.js'
import { dryRun, hexadecimal, path } from '../../shapes.js'
import { signerOf } from '../../signer.js'
import { newFile, text } from '../../values.js'
import { argument, flag, option, requiredOption, verb } from '../../verb.js'

export default verb({
  summary: 'sign a root hash; the result is what IMAGE.roothash.p7s holds',
  arguments: [
    argument('<root-hash>', 'in hexadecimal, or a file that holds it'),
    argument('<output>', 'new file for the PKCS#7 signature, in DER', newFile),
  ],
  options: {
    certificate: requiredOption('--certificate <file>', 'certificate of the signer, PEM or DER', text),
    key: option('--key <file>', 'private key of the signer, PEM: RSA or EC', text),
    signer: option('--signer <command>', 'reads the root hash from standard input, and writes PKCS#7', text),
    record: flag('--record', 'write what a signature partition holds'),
    force: flag('--force', 'replace a file that exists'),
    ...dryRunOption,
  },
  json: object({ rootHash: hexadecimal, path, dryRun }),
  examples: [
    'ddi-attach verity sign image.roothash image.roothash.p7s --key key.pem --certificate cert.pem',
    "ddi-attach verity sign 4f2a… signature --certificate cert.pem --signer 'openssl cms -sign -binary -outform DER …'",
  ],
  async run([rootHash, output], options) {
    const { certificate, key, signer, record, force: replace, json, dryRun } = options
    const hex = /^[0-9a-f]+$/i.test(rootHash) ? rootHash : (await readGiven(rootHash)).toString()
    const hash = parseRootHash(hex)
    const by = await signerOf(certificate, key, signer)
    const from = [rootHash, certificate, ...(key === undefined ? [] : [key])]
    if (dryRun) await refuseNewFile(output, { replace, from })
    // A command may have more to do than to sign: none runs in a dry run.
    const signed = dryRun && by.kind === 'command' ? undefined : await sign(hash, by)
    if (signed && !dryRun) {
      const contents = record ? encodeSignatureRecord(signed) : signed.signature
      await writeNewFile(output, 0, (target) => target.write(0, contents), { replace, from })
    }
    if (json !== 'off') printJson({ rootHash: Buffer.from(hash).toString('hex'), path: output, dryRun }, json)
    else if (dryRun) print(`${printable(output)}: would have the signature of ${Buffer.from(hash).toString('hex')}`)
  },
})
