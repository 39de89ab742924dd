// Builds an image from a directory and signs its root hash: build-and-sign DEFINITIONS TREE OUTPUT KEY CERTIFICATE
import { readFile } from 'node:fs/promises'
import { buildImage } from 'ddi'
import { parseCertificates } from 'ddi/verity'

const [definitions = 'repart.d', root = 'tree', output = 'os.raw', key = 'key.pem', file = 'cert.pem'] =
  process.argv.slice(2)
const [certificate] = parseCertificates(await readFile(file), file)
if (!certificate) throw new Error(`${file} has no certificate`)
const built = await buildImage([definitions], output, {
  root,
  signer: { kind: 'key', key: await readFile(key), certificate },
})
for (const { label, size, rootHash } of built.partitions) console.log(label, size, rootHash ?? '-')
