import type { BuiltImage } from '../../build/built.js'
import type { SharedOptions } from '../../build/context.js'
import { partitionDisk } from '../../build/existing.js'
import { buildImage } from '../../build/image.js'
import { refuseReplacing } from '../../bytes/new-file.js'
import { DdiError } from '../../errors.js'
import { partitionTypeName } from '../../gpt/dps-types.js'
import { choice } from '../choice.js'
import { dryRunOption } from '../dry-run.js'
import { describeRun } from '../extents.js'
import { given } from '../given.js'
import { untilInterrupted } from '../interrupt.js'
import { formatSize, note, print, printJson } from '../output.js'
import { printLayout } from '../pictures/layout.js'
import { progressBar } from '../progress.js'
import { array, integer, nullable, object, string, word } from '../schema.js'
import { bytes, dryRun, extent, hexadecimal, path, uuid } from '../shapes.js'
import { madeSigner, signerOf } from '../signer.js'
import { plainTableOptions, printTable } from '../table.js'
import { architectureName, hashAndFile, names, newFile, powerOfTwo, seed, size, text } from '../values.js'
import { flag, option, repeatable, type ValuesOf, verb } from '../verb.js'

export default verb({
  summary: 'build an image from definitions of its partitions, or add them to a disk: repart.d(5)',
  arguments: [],
  options: {
    definitions: repeatable(
      '--definitions <directory>',
      'directory with the definitions, *.conf; the first wins',
      text,
    ),
    output: option('-o, --output <file>', 'the new image', newFile),
    image: option('--image <disk>', 'adds partitions to this disk image or block device, and grows those it has', text),
    empty: option(
      '--empty <mode>',
      'of --image: refuse a disk without a table, allow both, require none, force a new table; create is --output (default: refuse)',
      choice('refuse', 'allow', 'require', 'force', 'create'),
    ),
    ...dryRunOption,
    root: option('--root <directory>', 'the system that the definitions are for', text, '/'),
    copySource: option('--copy-source <directory>', 'the tree of CopyFiles= (default: that of --root)', text),
    copyFrom: repeatable('--copy-from <image>', 'copy the partitions of this disk image or device as they are', text),
    keepVolatile: flag('--keep-volatile', 'copy what is in /proc, /sys, /dev, /tmp, /run and /var/tmp too'),
    include: option('--include-partitions <types>', 'only these, with commas between them', names),
    exclude: option('--exclude-partitions <types>', 'all but these', names),
    defer: option('--defer-partitions <types>', 'leave room for these, and do not make them yet', names),
    deferEmpty: flag('--defer-partitions-empty', 'nor those with Format=empty'),
    deferFactoryReset: flag('--defer-partitions-factory-reset', 'nor those with FactoryReset=yes'),
    factoryReset: flag('--factory-reset', 'of --image: make partitions with FactoryReset=yes anew'),
    fstab: option('--generate-fstab <path>', 'write an fstab there in the tree, by MountPoint=', text),
    crypttab: option('--generate-crypttab <path>', 'write a crypttab there in the tree, by EncryptedVolume=', text),
    seed: option('--seed <uuid>', 'derive all UUIDs from this one (default: random)', seed),
    size: option(
      '--size <size>',
      'size of the image (default: as small as the definitions allow; of --image: as it is)',
      (given) => (given === 'auto' ? undefined : size(given)),
    ),
    sectorSize: option('--sector-size <size>', 'of --output: 512, 1024, 2048 or 4096', powerOfTwo(512, 4096), '512'),
    grainSize: option(
      '--grain-size <size>',
      'what sizes and places of new partitions are multiples of: a power of two',
      powerOfTwo(512, 1024 ** 3),
      '4096',
    ),
    architecture: option(
      '--architecture <name>',
      'processor of types that do not name one, such as root (default: that of this machine)',
      architectureName,
    ),
    key: option('--key <file>', 'private key for signatures, PEM: RSA or EC', text),
    certificate: option('--certificate <file>', 'certificate of the signer, PEM or DER', text),
    signer: option('--signer <command>', 'signs instead of a key: reads a root hash, and writes PKCS#7', text),
    joinSignature: repeatable(
      '--join-signature <hash:file>',
      'signature that was made elsewhere of a root hash, PKCS#7 in DER, for a partition that was deferred',
      hashAndFile,
    ),
    keyFile: option('--key-file <file>', 'key of partitions with Encrypt=', text),
    split: flag('--split', 'also write a file for each partition, by SplitName='),
    force: flag('--force', 'replace files that exist'),
    ...plainTableOptions,
  },
  json: object({
    path,
    size: bytes,
    uuid,
    seed: string,
    dryRun,
    partitions: array(
      object({
        definition: path,
        dropIns: array(path),
        activity: word('create', 'grow', 'keep', 'defer'),
        number: integer,
        typeUuid: uuid,
        uuid,
        label: string,
        oldSize: bytes,
        size: bytes,
        padding: bytes,
        extents: array(extent),
        rootHash: nullable(hexadecimal),
        splitPath: nullable(path),
      }),
    ),
    others: array(object({ number: integer, label: string, extents: array(extent) })),
    warnings: array(string),
  }),
  examples: [
    'ddi-attach build --definitions repart.d --root tree -o image.raw',
    'ddi-attach build --definitions repart.d --root tree -o image.raw --key key.pem --certificate cert.pem --split',
    'ddi-attach build --definitions repart.d --image disk.raw --size 16G --dry-run',
    'ddi-attach build --copy-from image.raw --definitions repart.d --image /dev/sda --empty=require',
  ],
  asks: (_, { image, empty }) => (empty === 'force' ? `Overwrite the table of ${image}?` : undefined),
  async run(_, options) {
    const { json, output, image, empty, sectorSize, factoryReset, force, dryRun } = options
    const { copyFrom, deferEmpty, deferFactoryReset, grainSize } = options
    const { root, keepVolatile, split, copySource, include, exclude, defer, fstab, crypttab } = options
    const { seed, size, architecture, key, certificate, keyFile, joinSignature } = options
    if (options.definitions.length + copyFrom.length === 0)
      throw new DdiError('ERR_DDI_USAGE', 'give --definitions, or --copy-from')
    const secrets = [key, certificate, keyFile].filter((path) => path !== undefined)
    if (output !== undefined) await refuseReplacing(output, secrets)
    const made = joinSignature.length > 0 ? await madeSigner(certificate, joinSignature) : undefined
    const signs = made === undefined && certificate !== undefined
    const signer = signs ? await signerOf(certificate, key, options.signer) : made
    const bar = await progressBar('building')
    const shared: SharedOptions = {
      ...{ root, keepVolatile, split, dryRun, replace: force, signal: untilInterrupted(), onProgress: bar.update },
      ...{ copyFrom, deferEmpty, deferFactoryReset, grainSize },
      ...given({ copySource, include, exclude, defer, fstab, crypttab, seed, size, keyFile, architecture }),
      ...given({ signer }),
    }
    if ((output === undefined) === (image === undefined))
      throw new DdiError('ERR_DDI_USAGE', 'give --output for a new image, or --image for a disk that is there')
    if (output !== undefined && ![undefined, 'create'].includes(empty))
      throw new DdiError(
        'ERR_DDI_USAGE',
        `--empty=${empty} is for a disk that is there: give --image instead of --output`,
      )
    if (image !== undefined && empty === 'create')
      throw new DdiError('ERR_DDI_USAGE', '--empty=create makes a new image: give --output instead of --image')
    const building =
      output !== undefined
        ? buildImage(options.definitions, output, { ...shared, sectorSize })
        : partitionDisk(options.definitions, image!, {
            ...{ ...shared, factoryReset },
            ...(empty !== undefined && empty !== 'create' && { empty }),
          })
    const built = await building.finally(() => bar.stop())
    for (const warning of built.warnings) note(warning)
    if (json === 'off') await printBuilt(built, options)
    else {
      const partitions = built.partitions.map((one) => ({ ...one, extents: one.extents.map(describeRun) }))
      const others = built.others.map(({ number, label, ...run }) => ({ number, label, extents: [describeRun(run)] }))
      printJson({ ...built, partitions, others, dryRun }, json)
    }
  },
})

async function printBuilt(
  { path, size, uuid, partitions, others }: BuiltImage,
  { dryRun, noheadings, bytes }: ValuesOf<typeof plainTableOptions & typeof dryRunOption>,
): Promise<void> {
  print(`${path}: ${dryRun ? 'would have ' : ''}${formatSize(size)}, GPT ${uuid}\n`)
  await printTable(
    ['NUMBER', 'TYPE', 'LABEL', 'SIZE', 'CHANGE', 'SEGMENTS', 'UUID', 'FILE'],
    partitions.map(({ number, typeUuid, label, size, activity, oldSize, extents, uuid, splitPath }) => [
      number,
      partitionTypeName(typeUuid) ?? typeUuid,
      label,
      { bytes: size },
      activity === 'grow' ? `grow from ${formatSize(oldSize)}` : activity,
      extents.length,
      uuid,
      splitPath,
    ]),
    { noheadings, bytes },
  )
  for (const rootHash of new Set(partitions.flatMap((one) => one.rootHash ?? []))) print(`\nroot hash ${rootHash}`)
  if (!dryRun) return
  const pieces = [
    ...others.map(({ start, length, label, number }) => ({ start, length, owner: label || `partition ${number}` })),
    ...partitions.flatMap(({ extents, label, padding }) => [
      ...extents.map((one) => ({ ...one, owner: label })),
      ...(padding > 0 ? [{ start: endOf(extents), length: padding, owner: 'free' }] : []),
    ]),
  ]
  print('')
  await printLayout(pieces, size, bytes)
}

function endOf(extents: BuiltImage['partitions'][number]['extents']): number {
  const last = extents.at(-1)
  return last ? last.start + last.length : 0
}
