// The options of repart.d(5), one function each.
import { posix } from 'node:path'
import { booleanOf, expandSpecifiers, type Refuse, type Specifiers, wordsIn } from '../definition.js'
import { partitionTypeUuid } from '../gpt/dps-types.js'
import { parseSize } from '../size.js'
import { nilUuid, parseUuid } from '../uuid.js'
import { buildFormats, type PartitionDefinition, unset } from './partition-definition.js'

/** Where an option stands, for its errors. */
export interface Place {
  readonly refuse: Refuse
  readonly specifiers: Specifiers
}

/** What an option sets. */
type Option = (value: string, place: Place, before: PartitionDefinition) => Partial<PartitionDefinition>

/** Options of which each line adds to those before it; an empty one begins anew. */
export const lists = [
  'copyFiles',
  'excludeFiles',
  'excludeTargets',
  'makeDirectories',
  'makeSymlinks',
  'subvolumes',
  'mountPoints',
] as const

const sizeOf = (value: string, { refuse }: Place): number => {
  if (/^0+[KMGTP]?$/i.test(value)) return 0
  try {
    return parseSize(value)
  } catch (error) {
    throw refuse((error as Error).message)
  }
}

const weightOf = (value: string, { refuse }: Place): number => {
  if (!/^\d{1,7}$/.test(value) || Number(value) > 1_000_000)
    throw refuse(`${JSON.stringify(value)} is not a weight from 0 to 1000000`)
  return Number(value)
}

const absolute = (value: string, { refuse }: Place): string => {
  if (!value.startsWith('/') || value.includes('\0')) throw refuse(`${JSON.stringify(value)} is not an absolute path`)
  return posix.normalize(value)
}

const pathsIn = (value: string, place: Place): string[] =>
  wordsIn(value).map((word) => absolute(expand(word, place), place))

/** A trailing slash in an excluded path means the directory's contents only. */
const excludedIn = (value: string, place: Place): string[] =>
  wordsIn(value).map((word) => {
    const written = expand(word, place)
    const normal = absolute(written, place)
    return written.endsWith('/') && !normal.endsWith('/') ? `${normal}/` : normal
  })

const tristate = (value: string, { refuse }: Place): boolean | null => (value === '' ? null : booleanOf(value, refuse))

const blockSizeOf = (value: string, place: Place): number => {
  const bytes = sizeOf(value, place)
  if (![512, 1024, 2048, 4096].includes(bytes)) throw place.refuse('must be 512, 1024, 2048 or 4096')
  return bytes
}

function expand(text: string, { specifiers, refuse }: Place): string {
  return expandSpecifiers(text, specifiers, refuse)
}

/** Why an option of systemd is none here. */
export const refused: Readonly<Record<string, string>> = {
  BlockDeviceReplace: 'a file system that is mounted is not moved: btrfs replace does that',
  Integrity: 'partitions with integrity are not made: it takes a kernel with dm-integrity',
  IntegrityAlgorithm: 'partitions with integrity are not made: it takes a kernel with dm-integrity',
  TPM2PCRs: 'nothing is bound to a TPM2: that takes the machine itself, at its first boot',
  VolumeName: 'nothing is opened while an image is built',
}

/** Options by their names. */
export const options: Readonly<Record<string, Option>> = {
  Type(value, place) {
    const found = partitionTypeUuid(dashed(expand(value, place)), place.specifiers.architecture)
    if (!found) throw place.refuse(`unknown partition type ${JSON.stringify(value)}`)
    return { typeUuid: found }
  },
  Label(value, place) {
    const label = expand(value, place)
    if (label.length > 36)
      throw place.refuse(`${JSON.stringify(label)} has ${label.length} UTF-16 code units: a GPT stores at most 36`)
    return { label }
  },
  UUID(value, { refuse }) {
    if (value === '') return { uuid: null }
    if (value === 'null') return { uuid: nilUuid }
    const uuid = dashed(value)
    if (!parseUuid(uuid)) throw refuse(`${JSON.stringify(value)} is not a UUID`)
    return { uuid: uuid.toLowerCase() }
  },
  Priority(value, { refuse }) {
    if (!/^[+-]?\d{1,10}$/.test(value) || Number(value) !== (Number(value) | 0))
      throw refuse(`${JSON.stringify(value)} is not a number from -2147483648 to 2147483647`)
    return { priority: Number(value) }
  },
  Weight: (value, place) => ({ weight: weightOf(value, place) }),
  PaddingWeight: (value, place) => ({ paddingWeight: weightOf(value, place) }),
  SizeMinBytes: (value, place) => ({ sizeMin: sizeOf(value, place) }),
  SizeMaxBytes: (value, place) => ({ sizeMax: sizeOf(value, place) }),
  PaddingMinBytes: (value, place) => ({ paddingMin: sizeOf(value, place) }),
  PaddingMaxBytes: (value, place) => ({ paddingMax: sizeOf(value, place) }),
  Format(value, { refuse }, { label, noAuto }) {
    if (value === '') return { format: null, reserved: false }
    // Space for a later version, as sysupdate.d(5) finds it.
    if (value === 'empty') return { format: null, reserved: true, label: label ?? '_empty', noAuto: noAuto ?? true }
    const found = buildFormats.find((one) => one === value)
    if (!found) throw refuse(`unknown file system ${JSON.stringify(value)}: one of ${buildFormats.join(', ')}, empty`)
    return { format: found, reserved: false }
  },
  FileSystemSectorSize: (value, place) => ({ fileSystemSectorSize: value === '' ? null : blockSizeOf(value, place) }),
  Compression(value, { refuse }) {
    if (!/^[a-z0-9]*$/.test(value)) throw refuse(`${JSON.stringify(value)} is not the name of a compression`)
    return { compression: value || null }
  },
  CompressionLevel(value, { refuse }) {
    if (!/^\d{0,5}$/.test(value)) throw refuse(`${JSON.stringify(value)} is not a level`)
    return { compressionLevel: value || null }
  },
  CopyFiles(value, place) {
    if (value === '') return { copyFiles: [] }
    const [source = '', target = '', options = '', ...rest] = value.split(':').map((part) => expand(part, place))
    if (rest.length > 0 || !['', 'fsverity=off'].includes(options))
      throw place.refuse('only SOURCE, SOURCE:TARGET and SOURCE:TARGET:fsverity=off are supported')
    return { copyFiles: [{ source: absolute(source, place), target: absolute(target || source, place) }] }
  },
  ExcludeFiles: (value, place) => ({ excludeFiles: excludedIn(value, place) }),
  ExcludeFilesTarget: (value, place) => ({ excludeTargets: excludedIn(value, place) }),
  MakeDirectories: (value, place) => ({ makeDirectories: pathsIn(value, place) }),
  MakeSymlinks: (value, place) => ({
    makeSymlinks: wordsIn(value).map((word) => {
      const [, path, target] = /^([^:]*):(.+)$/.exec(word) ?? []
      if (path === undefined || target === undefined) throw place.refuse(`${JSON.stringify(word)} is not PATH:TARGET`)
      return { path: absolute(expand(path, place), place), target: expand(target, place) }
    }),
  }),
  Subvolumes: (value, place) => ({
    subvolumes: wordsIn(value).map((word) => {
      const [path = '', flags = ''] = word.split(':')
      const set = new Set(flags.split(',').filter((flag) => flag !== ''))
      for (const flag of set)
        if (flag !== 'ro' && flag !== 'nodatacow')
          throw place.refuse(`${JSON.stringify(flag)} is not a flag of subvolumes: ro, nodatacow`)
      return { path: absolute(expand(path, place), place), readOnly: set.has('ro'), noCow: set.has('nodatacow') }
    }),
  }),
  DefaultSubvolume: (value, place) => ({
    defaultSubvolume: value === '' ? null : absolute(expand(value, place), place),
  }),
  CopyBlocks(value, place) {
    if (value === '' || value === 'auto') return { copyBlocks: value || null }
    return { copyBlocks: absolute(expand(value, place), place) }
  },
  Minimize: (value, { refuse }) => ({ minimize: value === 'best' || value === 'guess' || booleanOf(value, refuse) }),
  Encrypt(value, { refuse }) {
    if (value === 'tpm2' || value === 'key-file+tpm2')
      throw refuse(`${value} is not supported: a key in a TPM2 is made by the machine itself, at its first boot`)
    return { encrypt: value === 'key-file' || (value !== '' && booleanOf(value, refuse)) }
  },
  EncryptKDF(value, { refuse }) {
    const encryptKdf = value || unset.encryptKdf
    if (encryptKdf !== 'argon2id' && encryptKdf !== 'pbkdf2' && encryptKdf !== 'minimal')
      throw refuse(`${JSON.stringify(value)} is not one of argon2id, pbkdf2 and minimal`)
    return { encryptKdf }
  },
  Discard: (value, { refuse }) => ({ discard: booleanOf(value, refuse) }),
  KeyFile: (value, place) => ({ keyFile: value === '' ? null : absolute(expand(value, place), place) }),
  VolumeLabel(value, place) {
    const label = expand(value, place)
    if (Buffer.byteLength(label) > 47)
      throw place.refuse(`${JSON.stringify(label)} is too long for the header of LUKS2`)
    return { volumeLabel: label || null }
  },
  EncryptedVolume(value, { refuse }) {
    const [name = '', keyFile = '', options = '', extra = '', ...rest] = value.split(':')
    if (
      rest.length > 0 ||
      !['', 'fixate-volume-key'].includes(extra) ||
      [name, keyFile, options].some((one) => /\s/.test(one)) ||
      name.includes('/')
    )
      throw refuse(`${JSON.stringify(value)} is not NAME:KEYFILE:OPTIONS:fixate-volume-key`)
    return { encryptedVolume: value === '' ? null : { name, keyFile, options, fixesKey: extra !== '' } }
  },
  MountPoint(value, place) {
    if (value === '') return { mountPoints: [] }
    const [, path = '', options = ''] = /^([^:]*)(?::(.*))?$/.exec(value)!
    if (/\s/.test(value)) throw place.refuse('blanks are not supported')
    return { mountPoints: [{ path: absolute(expand(path, place), place), options }] }
  },
  Verity(value, { refuse }) {
    if (value !== 'off' && value !== 'data' && value !== 'hash' && value !== 'signature')
      throw refuse(`${JSON.stringify(value)} is not one of off, data, hash and signature`)
    return { verity: value }
  },
  VerityMatchKey: (value, place) => ({ verityMatchKey: expand(value, place) }),
  VerityDataBlockSizeBytes: (value, place) => ({ verityDataBlockSize: blockSizeOf(value, place) }),
  VerityHashBlockSizeBytes: (value, place) => ({ verityHashBlockSize: blockSizeOf(value, place) }),
  FactoryReset: (value, { refuse }) => ({ factoryReset: booleanOf(value, refuse) }),
  SupplementFor: (value) => ({ supplementFor: value.replace(/\.conf$/, '') || null }),
  AddValidateFS(value, { refuse }) {
    if (booleanOf(value, refuse)) throw refuse('marks for systemd-validatefs are not made')
    return {}
  },
  Flags(value, { refuse }) {
    if (!/^(0x[0-9a-f]{1,16}|0b[01]{1,64}|\d{1,20})$/i.test(value) || BigInt(value) >= 2n ** 64n)
      throw refuse(`${JSON.stringify(value)} is not a 64-bit number`)
    return { flags: BigInt(value) }
  },
  ReadOnly: (value, place) => ({ readOnly: tristate(value, place) }),
  NoAuto: (value, place) => ({ noAuto: tristate(value, place) }),
  GrowFileSystem: (value, place) => ({ growFileSystem: tristate(value, place) }),
  SplitName(value, { specifiers, refuse }) {
    const name = expandSpecifiers(value, specifiers, refuse, laterSpecifiers)
    return { splitName: name === '-' ? null : name || '%t' }
  },
  Dynamic: (value, place) => ({ dynamic: booleanOf(value, place.refuse) }),
  MaxSegmentBytes: (value, place) => ({ maxSegment: sizeOf(value, place) }),
}

/** Those of SplitName= that stay until the partition has its number and UUID. */
const laterSpecifiers = { t: '%t', T: '%T', U: '%U', n: '%n', '%': '%%' }

/** UUIDs may be written without dashes. */
function dashed(text: string): string {
  return /^[0-9a-f]{32}$/i.test(text) ? text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : text
}
