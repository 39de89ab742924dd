// Which options go together.
import type { Refuse } from '../definition.js'
import { DdiError } from '../errors.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { isFilled, type PartitionDefinition } from './partition-definition.js'

/**
 * Fills in what options imply, and checks that they go together.
 * @throws ERR_DDI_DEFINITION
 */
export function settledDefinition(fields: PartitionDefinition): PartitionDefinition {
  const refuse = (what: string) => new DdiError('ERR_DDI_DEFINITION', `${fields.path}: ${what}`)
  const definition = withFormat(fields)
  checkSizes(definition, refuse)
  checkContents(definition, refuse)
  checkEncryption(definition, refuse)
  checkProtection(definition, refuse)
  return definition
}

/** What is to be filled or encrypted gets a file system if it names none. */
function withFormat(fields: PartitionDefinition): PartitionDefinition {
  const { format, encrypt, copyBlocks, typeUuid } = fields
  if (format !== null || (!isFilled(fields) && !(encrypt && copyBlocks === null))) return fields
  const designator = dpsTypes.get(typeUuid)?.designator
  return { ...fields, format: designator === 'esp' || designator === 'xbootldr' ? 'vfat' : 'ext4' }
}

function checkSizes({ sizeMin, sizeMax, paddingMin, paddingMax }: PartitionDefinition, refuse: Refuse): void {
  if (sizeMin !== null && sizeMax !== null && sizeMin > sizeMax)
    throw refuse('SizeMinBytes= is more than SizeMaxBytes=')
  if (paddingMax !== null && paddingMin > paddingMax) throw refuse('PaddingMinBytes= is more than PaddingMaxBytes=')
}

const compressed = new Set(['erofs', 'squashfs', 'btrfs'])

function checkContents(definition: PartitionDefinition, refuse: Refuse): void {
  const { copyBlocks, format, minimize, verity, compression, compressionLevel } = definition
  const { subvolumes, defaultSubvolume, fileSystemSectorSize } = definition
  const fills = isFilled(definition)
  if (verity === 'hash' || verity === 'signature') return
  if (copyBlocks !== null && (format !== null || fills))
    throw refuse('CopyBlocks= excludes Format=, CopyFiles= and MakeDirectories=')
  if (format === 'swap' && fills) throw refuse('a swap partition holds no files')
  if (format === 'xfs' && fills)
    throw refuse(
      'Format=xfs cannot be filled without mounting it: use ext4, btrfs, erofs or squashfs for CopyFiles= and MakeDirectories=',
    )
  if (minimize && (format === 'xfs' || format === 'swap' || format === null))
    throw refuse(`Minimize= is supported for ext4, btrfs, vfat, erofs and squashfs, not for ${format ?? 'no Format='}`)
  if (fileSystemSectorSize !== null && format !== 'vfat')
    throw refuse(
      'FileSystemSectorSize= is supported for vfat: the blocks of other file systems are larger than any sector',
    )
  if (defaultSubvolume !== null && !subvolumes.some((one) => one.path === defaultSubvolume))
    throw refuse('DefaultSubvolume= is not one of Subvolumes=')
  // Others do not compress, and systemd-repart passes over it there.
  if (compressionLevel !== null && compression === null && compressed.has(format ?? ''))
    throw refuse('CompressionLevel= needs Compression=')
}

function checkEncryption(
  { encrypt, verity, encryptedVolume, keyFile, volumeLabel, dynamic, minimize }: PartitionDefinition,
  refuse: Refuse,
): void {
  if (encrypt && verity !== 'off') throw refuse('Encrypt= excludes Verity=')
  for (const [name, value] of Object.entries({
    EncryptedVolume: encryptedVolume,
    KeyFile: keyFile,
    VolumeLabel: volumeLabel,
  }))
    if (value !== null && !encrypt) throw refuse(`${name}= needs Encrypt=`)
  if (encrypt && minimize) throw refuse('Encrypt= excludes Minimize=')
  if (encrypt && dynamic) throw refuse('Encrypt= excludes Dynamic=')
}

function checkProtection(definition: PartitionDefinition, refuse: Refuse): void {
  const { verity, verityMatchKey, format, copyBlocks, sizeMin, sizeMax } = definition
  if (verity !== 'off' && verityMatchKey === null) throw refuse(`Verity=${verity} needs VerityMatchKey=`)
  if (verity === 'off' && verityMatchKey !== null) throw refuse('VerityMatchKey= needs Verity=')
  if (verity === 'off' || verity === 'data') return
  if (format !== null || copyBlocks !== null || isFilled(definition))
    throw refuse(`Verity=${verity} decides what the partition holds: it excludes Format=, CopyFiles= and CopyBlocks=`)
  if (verity === 'signature' && (sizeMin !== null || sizeMax !== null))
    throw refuse('a signature partition has 16 KiB: SizeMinBytes= and SizeMaxBytes= cannot be set')
}

/** Each match key has one data and one hash partition, and at most one for a signature. @throws ERR_DDI_DEFINITION */
export function checkVerity(definitions: readonly PartitionDefinition[]): void {
  for (const { path, verity, verityMatchKey, priority } of definitions) {
    if (verity === 'off') continue
    const of = (kind: PartitionDefinition['verity']) =>
      definitions.filter((one) => one.verityMatchKey === verityMatchKey && one.verity === kind)
    const refuse = (what: string) =>
      new DdiError('ERR_DDI_DEFINITION', `${path}: VerityMatchKey=${verityMatchKey} has ${what}`)
    if (of(verity).length > 1) throw refuse(`more than one partition with Verity=${verity}`)
    for (const needed of ['data', 'hash', 'signature'] as const) {
      const [other] = of(needed)
      if (!other && needed !== 'signature') throw refuse(`no partition with Verity=${needed}`)
      if (other && other.priority !== priority) throw refuse('partitions of different Priority=')
    }
  }
}

/** Definitions that supplement others name one that may be supplemented. @throws ERR_DDI_DEFINITION */
export function checkSupplements(definitions: readonly PartitionDefinition[]): void {
  for (const one of definitions) {
    if (one.supplementFor === null) continue
    const refuse = (what: string) =>
      new DdiError('ERR_DDI_DEFINITION', `${one.path}: SupplementFor=${one.supplementFor}: ${what}`)
    const target = supplemented(one, definitions)
    if (!target || target === one) throw refuse('there is no such definition besides')
    if (target.supplementFor !== null) throw refuse('it supplements another one itself')
    if (definitions.some((other) => other !== one && supplemented(other, definitions) === target))
      throw refuse('another definition supplements it already')
    for (const { copyBlocks, encrypt, verity } of [one, target])
      if (copyBlocks !== null || encrypt || verity !== 'off')
        throw refuse('it excludes CopyBlocks=, Encrypt= and Verity=')
  }
}

/** The definition that one supplements. */
export function supplemented<One extends PartitionDefinition>(
  { supplementFor }: PartitionDefinition,
  definitions: readonly One[],
): One | undefined {
  if (supplementFor === null) return undefined
  return definitions.find(({ path }) => path.endsWith(`/${supplementFor}.conf`))
}
