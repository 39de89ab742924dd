import { readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { readSmallFile } from '../bytes/small-file.js'
import { assignments, booleanOf, expandSpecifiers, type Refuse, type Specifiers, wordsIn } from '../definition.js'
import { DdiError, systemError } from '../errors.js'
import { partitionTypeUuid } from '../gpt/dps-types.js'
import { parseSize } from '../size.js'
import { plainCharacters } from '../text.js'
import { parseUuid } from '../uuid.js'

// The files and their options are those of repart.d(5), plus two of our own: Dynamic= and MaxSegmentBytes=.

const splitName = new RegExp(`^${plainCharacters}*$`)

export const buildFormats = ['ext4', 'btrfs', 'xfs', 'vfat', 'erofs', 'squashfs', 'swap'] as const
export type BuildFormat = (typeof buildFormats)[number]

export interface CopyRule {
  /** Absolute, within the tree that is copied from. */
  readonly source: string
  /** Absolute, within the file system. */
  readonly target: string
}

/** One partition of an image to be built. Sizes in bytes. */
export interface PartitionDefinition {
  /** The definition's file, for errors. */
  readonly path: string
  readonly typeUuid: string
  /** Null: derived from the name of the type. */
  readonly label: string | null
  /** Null: derived from the seed, or from the root hash. */
  readonly uuid: string | null
  readonly weight: number
  readonly paddingWeight: number
  readonly sizeMin: number | null
  readonly sizeMax: number | null
  readonly paddingMin: number
  readonly paddingMax: number | null
  readonly format: BuildFormat | null
  readonly copyFiles: readonly CopyRule[]
  readonly excludeFiles: readonly string[]
  readonly makeDirectories: readonly string[]
  readonly copyBlocks: string | null
  readonly minimize: boolean
  readonly verity: 'off' | 'data' | 'hash' | 'signature'
  readonly verityMatchKey: string | null
  /** Attribute bits; null: not given. */
  readonly flags: bigint | null
  readonly readOnly: boolean | null
  readonly noAuto: boolean | null
  readonly growFileSystem: boolean | null
  /** Part of the name of its split file; null: none is written. */
  readonly splitName: string | null
  /** May be split into several segments (docs/extension-partitions.md). */
  readonly dynamic: boolean
  readonly maxSegment: number | null
}

/** Where an option stands, for its errors. */
interface Place {
  readonly refuse: Refuse
  readonly specifiers: Specifiers
}

/** What an option sets. */
type Option = (value: string, place: Place) => Partial<PartitionDefinition>

const size = (value: string, { refuse }: Place): number => {
  try {
    return parseSize(value)
  } catch (error) {
    throw refuse((error as Error).message)
  }
}

const weight = (value: string, { refuse }: Place): number => {
  if (!/^\d{1,7}$/.test(value) || Number(value) > 1_000_000)
    throw refuse(`${JSON.stringify(value)} is not a weight from 0 to 1000000`)
  return Number(value)
}

const absolute = (value: string, { refuse }: Place): string => {
  if (!value.startsWith('/') || value.includes('\0')) throw refuse(`${JSON.stringify(value)} is not an absolute path`)
  return posix.normalize(value)
}

/** Options by their names. */
const options: Readonly<Record<string, Option>> = {
  Type(value, place) {
    const found = partitionTypeUuid(expand(value, place), place.specifiers.architecture)
    if (!found) throw place.refuse(`unknown partition type ${JSON.stringify(value)}`)
    return { typeUuid: found }
  },
  Label(value, place) {
    const label = expand(value, place)
    if (label.length > 36)
      throw place.refuse(`${JSON.stringify(label)} has ${label.length} UTF-16 code units: a GPT stores at most 36`)
    return { label }
  },
  UUID(value, place) {
    if (!parseUuid(value)) throw place.refuse(`${JSON.stringify(value)} is not a UUID`)
    return { uuid: value.toLowerCase() }
  },
  Weight: (value, place) => ({ weight: weight(value, place) }),
  PaddingWeight: (value, place) => ({ paddingWeight: weight(value, place) }),
  SizeMinBytes: (value, place) => ({ sizeMin: size(value, place) }),
  SizeMaxBytes: (value, place) => ({ sizeMax: size(value, place) }),
  PaddingMinBytes: (value, place) => ({ paddingMin: size(value, place) }),
  PaddingMaxBytes: (value, place) => ({ paddingMax: size(value, place) }),
  Format(value, { refuse }) {
    const found = buildFormats.find((one) => one === value)
    if (!found) throw refuse(`unknown file system ${JSON.stringify(value)}: one of ${buildFormats.join(', ')}`)
    return { format: found }
  },
  CopyFiles(value, place) {
    const [source = '', target = source, ...rest] = expand(value, place).split(':')
    if (rest.length > 0) throw place.refuse('only SOURCE or SOURCE:TARGET is supported')
    return { copyFiles: [{ source: absolute(source, place), target: absolute(target, place) }] }
  },
  ExcludeFiles: (value, place) => ({
    excludeFiles: wordsIn(expand(value, place)).map((path) => keepSlash(absolute(path, place), path)),
  }),
  MakeDirectories: (value, place) => ({
    makeDirectories: wordsIn(expand(value, place)).map((path) => absolute(path, place)),
  }),
  CopyBlocks(value, place) {
    if (value === 'auto') throw place.refuse('"auto" is not supported: it means the running system')
    return { copyBlocks: absolute(expand(value, place), place) }
  },
  Minimize(value, place) {
    return { minimize: value === 'best' || value === 'guess' || booleanOf(value, place.refuse) }
  },
  Verity(value, { refuse }) {
    if (value !== 'off' && value !== 'data' && value !== 'hash' && value !== 'signature')
      throw refuse(`${JSON.stringify(value)} is not one of off, data, hash and signature`)
    return { verity: value }
  },
  VerityMatchKey: (value, place) => ({ verityMatchKey: expand(value, place) }),
  Flags(value, { refuse }) {
    if (!/^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(value) || BigInt(value) >= 2n ** 64n)
      throw refuse(`${JSON.stringify(value)} is not a 64-bit number`)
    return { flags: BigInt(value) }
  },
  ReadOnly: (value, place) => ({ readOnly: booleanOf(value, place.refuse) }),
  NoAuto: (value, place) => ({ noAuto: booleanOf(value, place.refuse) }),
  GrowFileSystem: (value, place) => ({ growFileSystem: booleanOf(value, place.refuse) }),
  SplitName(value, place) {
    const name = expand(value, place)
    if (!splitName.test(name)) throw place.refuse(`${JSON.stringify(name)} cannot be part of a file name`)
    return { splitName: name === '' || name === '-' ? null : name }
  },
  Dynamic: (value, place) => ({ dynamic: booleanOf(value, place.refuse) }),
  MaxSegmentBytes: (value, place) => ({ maxSegment: size(value, place) }),
}

/** A trailing slash in an excluded path means the directory's contents only. */
function keepSlash(normal: string, written: string): string {
  return written.endsWith('/') && !normal.endsWith('/') ? `${normal}/` : normal
}

function expand(text: string, { specifiers, refuse }: Place): string {
  return expandSpecifiers(text, specifiers, refuse)
}

/** What a definition is that says nothing. */
const unset: Omit<PartitionDefinition, 'path'> = {
  typeUuid: '',
  label: null,
  uuid: null,
  weight: 1000,
  paddingWeight: 0,
  sizeMin: null,
  sizeMax: null,
  paddingMin: 0,
  paddingMax: null,
  format: null,
  copyFiles: [],
  excludeFiles: [],
  makeDirectories: [],
  copyBlocks: null,
  minimize: false,
  verity: 'off',
  verityMatchKey: null,
  flags: null,
  readOnly: null,
  noAuto: null,
  growFileSystem: null,
  splitName: null,
  dynamic: false,
  maxSegment: null,
}

/** What each line adds to; all other options are those of the last line. */
type Lists = Partial<Pick<PartitionDefinition, 'copyFiles' | 'excludeFiles' | 'makeDirectories'>>

/**
 * Parses one definition.
 * @param path of its file, for errors
 * @throws ERR_DDI_DEFINITION, with the line, for anything that is not understood or not supported
 */
export function parseDefinition(text: string, path: string, specifiers: Specifiers): PartitionDefinition {
  const refuseLine = (line: number) => (what: string) => new DdiError('ERR_DDI_DEFINITION', `${path}:${line}: ${what}`)
  let fields: PartitionDefinition = { path, ...unset }
  const given: Lists[] = []
  for (const { name, value, line } of assignments(text, ['Partition'], refuseLine)) {
    const option = Object.hasOwn(options, name) ? options[name] : undefined
    if (!option) throw refuseLine(line)(`${name}= is not supported`)
    const place: Place = { specifiers, refuse: (what) => refuseLine(line)(`${name}=: ${what}`) }
    const set = option(value, place)
    fields = { ...fields, ...set }
    given.push(set)
  }
  // Collected at their end: there may be as many lines as a file has.
  fields = {
    ...fields,
    copyFiles: given.flatMap(({ copyFiles = [] }) => copyFiles),
    excludeFiles: given.flatMap(({ excludeFiles = [] }) => excludeFiles),
    makeDirectories: given.flatMap(({ makeDirectories = [] }) => makeDirectories),
  }
  const refuse = (what: string) => new DdiError('ERR_DDI_DEFINITION', `${path}: ${what}`)
  checkSizes(fields, refuse)
  checkContents(fields, refuse)
  checkProtection(fields, refuse)
  return fields
}

function checkSizes({ typeUuid, sizeMin, sizeMax, paddingMin, paddingMax }: PartitionDefinition, refuse: Refuse): void {
  if (typeUuid === '') throw refuse('Type= is missing')
  if (sizeMin !== null && sizeMax !== null && sizeMin > sizeMax)
    throw refuse('SizeMinBytes= is more than SizeMaxBytes=')
  if (paddingMax !== null && paddingMin > paddingMax) throw refuse('PaddingMinBytes= is more than PaddingMaxBytes=')
}

const minimized: readonly (BuildFormat | null)[] = ['ext4', 'btrfs', 'erofs', 'squashfs']

function checkContents(
  { copyBlocks, copyFiles, makeDirectories, format, minimize }: PartitionDefinition,
  refuse: Refuse,
): void {
  const fills = copyFiles.length + makeDirectories.length > 0
  if (fills && format === null) throw refuse('CopyFiles= and MakeDirectories= need Format=')
  if (copyBlocks !== null && (format !== null || fills))
    throw refuse('CopyBlocks= excludes Format=, CopyFiles= and MakeDirectories=')
  if (format === 'swap' && fills) throw refuse('a swap partition holds no files')
  if (format === 'xfs' && fills)
    throw refuse(
      'Format=xfs cannot be filled without mounting it: use ext4, btrfs, erofs or squashfs for CopyFiles= and MakeDirectories=',
    )
  if (minimize && !minimized.includes(format))
    throw refuse(`Minimize= is supported for ext4, btrfs, erofs and squashfs, not for ${format ?? 'no Format='}`)
}

function checkProtection({ verity, verityMatchKey, format, copyBlocks }: PartitionDefinition, refuse: Refuse): void {
  if (verity !== 'off' && verityMatchKey === null) throw refuse(`Verity=${verity} needs VerityMatchKey=`)
  if (verity === 'off' && verityMatchKey !== null) throw refuse('VerityMatchKey= needs Verity=')
  if ((verity === 'hash' || verity === 'signature') && (format !== null || copyBlocks !== null))
    throw refuse(`Verity=${verity} decides what the partition holds: it excludes Format= and CopyBlocks=`)
}

/**
 * Reads all definitions in a directory (`*.conf`), in the order of their names.
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_DEFINITION, also if there is none
 */
export async function readDefinitions(
  directory: string,
  specifiers: Specifiers,
): Promise<readonly PartitionDefinition[]> {
  const attempt = async <Value>(path: string, work: Promise<Value>) => {
    try {
      return await work
    } catch (error) {
      throw systemError(error, `cannot read ${path}`, { ENOENT: 'ERR_DDI_NOT_FOUND', ENOTDIR: 'ERR_DDI_NOT_FOUND' })
    }
  }
  const names = (await attempt(directory, readdir(directory))).filter((name) => name.endsWith('.conf')).sort()
  if (names.length === 0) throw new DdiError('ERR_DDI_DEFINITION', `${directory} has no definitions: no file *.conf`)
  const definitions: PartitionDefinition[] = []
  for (const name of names) {
    const path = join(directory, name)
    definitions.push(parseDefinition((await readSmallFile(path)).toString(), path, specifiers))
  }
  checkVerity(definitions)
  return definitions
}

/** Each match key has one data and one hash partition, and at most one for a signature. */
function checkVerity(definitions: readonly PartitionDefinition[]): void {
  for (const { path, verity, verityMatchKey } of definitions) {
    if (verity === 'off') continue
    const of = (kind: PartitionDefinition['verity']) =>
      definitions.filter((one) => one.verityMatchKey === verityMatchKey && one.verity === kind)
    if (of(verity).length > 1)
      throw new DdiError(
        'ERR_DDI_DEFINITION',
        `${path}: VerityMatchKey=${verityMatchKey} has more than one partition with Verity=${verity}`,
      )
    for (const needed of ['data', 'hash'] as const)
      if (of(needed).length === 0)
        throw new DdiError(
          'ERR_DDI_DEFINITION',
          `${path}: VerityMatchKey=${verityMatchKey} has no partition with Verity=${needed}`,
        )
  }
}
