import { type BuiltImage, buildImage } from '../../build/image.js'
import { linear } from '../../bytes/extents.js'
import { partitionTypeName } from '../../gpt/dps-types.js'
import { describeExtents } from '../extents.js'
import { given } from '../given.js'
import { untilInterrupted } from '../interrupt.js'
import { json } from '../options.js'
import { formatSize, print, printJson } from '../output.js'
import { signerOf } from '../signer.js'
import { printTable } from '../table.js'
import { powerOfTwo, size, text, uuid } from '../values.js'
import { flag, option, requiredOption, verb } from '../verb.js'

export default verb({
  summary: 'build an image from definitions of its partitions: repart.d(5)',
  arguments: [],
  options: {
    definitions: requiredOption('--definitions <directory>', 'directory with the definitions, *.conf', text),
    output: requiredOption('-o, --output <file>', 'the new image', text),
    root: option('--root <directory>', 'the tree that files are copied from', text, '/'),
    seed: option('--seed <uuid>', 'derive all UUIDs from this one (default: a random one)', uuid),
    size: option('--size <size>', 'size of the image (default: as small as the definitions allow)', (given) =>
      given === 'auto' ? undefined : size(given),
    ),
    sectorSize: option('--sector-size <size>', '512, 1024, 2048 or 4096', powerOfTwo(512, 4096), '512'),
    arch: option(
      '--arch <name>',
      'processor of types that do not name one, such as root (default: that of this machine)',
      text,
    ),
    key: option('--key <file>', 'private key for signatures, PEM: RSA or EC', text),
    certificate: option('--certificate <file>', 'certificate of the signer, PEM or DER', text),
    signer: option('--signer <command>', 'signs instead of a key: reads a root hash, and writes PKCS#7', text),
    split: flag('--split', 'also write a file for each partition that has SplitName='),
    force: flag('--force', 'replace files that exist'),
    ...json,
  },
  examples: [
    'ddi-attach build --definitions repart.d --root tree -o image.raw',
    'ddi-attach build --definitions repart.d --root tree -o image.raw --key key.pem --certificate cert.pem --split',
  ],
  async run(_, options) {
    const { json, root, seed, size, sectorSize, arch, key, certificate, signer, split, force } = options
    const built = await buildImage(options.definitions, options.output, {
      root,
      sectorSize,
      split,
      replace: force,
      signal: untilInterrupted(),
      ...given({
        seed,
        size,
        architecture: arch,
        signer: certificate === undefined ? undefined : await signerOf(certificate, key, signer),
      }),
    })
    if (json === 'off') await printBuilt(built)
    else {
      const partitions = built.partitions.map((one) => ({ ...one, extents: describeExtents(linear(one.extents)) }))
      printJson({ ...built, partitions }, json)
    }
  },
})

async function printBuilt({ path, size, uuid, partitions }: BuiltImage): Promise<void> {
  print(`${path}: ${formatSize(size)}, GPT ${uuid}\n`)
  await printTable(
    ['TYPE', 'LABEL', 'SIZE', 'SEGMENTS', 'UUID', 'FILE'],
    partitions.map(({ typeUuid, label, size, extents, uuid, splitPath }) => [
      partitionTypeName(typeUuid) ?? typeUuid,
      label,
      formatSize(size),
      extents.length,
      uuid,
      splitPath,
    ]),
  )
  for (const rootHash of new Set(partitions.flatMap((one) => one.rootHash ?? []))) print(`\nroot hash ${rootHash}`)
}
