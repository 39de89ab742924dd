import type { DmTarget } from '../../bindings/addon.js'

/** The kernel's sector, whatever the sectors of the device are. */
const sector = 512

/** What a run of a device-mapper device stands for: one line of its table. */
export type TableTarget = LinearTarget | ZeroTarget | VerityTarget | OtherTarget

interface TargetLength {
  /** In bytes, a multiple of 512. */
  readonly length: number
}

/** A run of another device (Documentation/admin-guide/device-mapper/linear.rst). */
export interface LinearTarget extends TargetLength {
  readonly kind: 'linear'
  /** `major:minor` */
  readonly device: string
  /** Where the run starts on that device: in bytes, a multiple of 512. */
  readonly start: number
}

/** Zeroes; what is written is dropped (zero.rst). */
export interface ZeroTarget extends TargetLength {
  readonly kind: 'zero'
}

/** Blocks that are checked against a hash tree as they are read (verity.rst, “Construction Parameters”). */
export interface VerityTarget extends TargetLength, VerityOptions {
  readonly kind: 'verity'
  /** Of the on-disk format: 0 is Chromium OS’s, 1 is what veritysetup makes. */
  readonly version: number
  /** `major:minor` of both devices. */
  readonly dataDevice: string
  readonly hashDevice: string
  /** In bytes. */
  readonly dataBlockSize: number
  readonly hashBlockSize: number
  readonly dataBlocks: number
  /** Where the tree starts on the hash device, in hash blocks. */
  readonly hashStartBlock: number
  readonly algorithm: string
  /** Both in hexadecimal; an empty salt is no salt. */
  readonly rootHash: string
  readonly salt: string
}

export interface VerityOptions {
  /** Default: a block that does not match is an I/O error. */
  readonly onCorruption?: 'ignore' | 'restart' | 'panic'
  /** Default: an I/O error stays one. */
  readonly onError?: 'restart' | 'panic'
  readonly ignoreZeroBlocks?: true
  readonly checkAtMostOnce?: true
  readonly tryVerifyInTasklet?: true
  readonly errorCorrection?: VerityErrorCorrection
  /** Description of the user key that holds a signature of the root hash for the kernel to verify. */
  readonly signatureKey?: string
}

/** Reed-Solomon codes. */
export interface VerityErrorCorrection {
  /** `major:minor` */
  readonly device: string
  /** How many blocks are covered, and in which block the codes start. */
  readonly blocks: number
  readonly start: number
  /** Bytes of each code. */
  readonly roots: number
}

/** A target that ddi does not make, or one whose parameters it does not know. */
export interface OtherTarget extends TargetLength {
  readonly kind: 'other'
  readonly type: string
  readonly parameters: string
}

/** A table as the kernel takes it: each target starts where the one before it ends. */
export function formatTable(targets: readonly TableTarget[]): DmTarget[] {
  let startSector = 0
  return targets.map((target) => {
    const line = formatTarget(target, startSector)
    startSector += line.sectorCount
    return line
  })
}

/** The targets of a table, in order. */
export function parseTable(lines: readonly DmTarget[]): TableTarget[] {
  return lines.map(parseTarget)
}

/** A line of a table. A last part of a sector is left out, as no device has one. */
function formatTarget(target: TableTarget, startSector: number): DmTarget {
  const place = { startSector, sectorCount: Math.floor(target.length / sector) }
  switch (target.kind) {
    case 'linear':
      return { ...place, type: 'linear', parameters: `${target.device} ${Math.floor(target.start / sector)}` }
    case 'zero':
      return { ...place, type: 'zero', parameters: '' }
    case 'verity':
      return { ...place, type: 'verity', parameters: formatVerity(target) }
    case 'other':
      return { ...place, type: target.type, parameters: target.parameters }
  }
}

/** What a line of a table says. */
export function parseTarget({ sectorCount, type, parameters }: DmTarget): TableTarget {
  const length = sectorCount * sector
  const words = parameters.split(' ').filter((word) => word !== '')
  return parsers.get(type)?.(length, words) ?? { kind: 'other', length, type, parameters }
}

/** Undefined for parameters that are not as documented. */
type Parser = (length: number, words: readonly string[]) => TableTarget | undefined

const parsers: ReadonlyMap<string, Parser> = new Map<string, Parser>([
  ['linear', parseLinear],
  ['zero', (length, words) => (words.length === 0 ? { kind: 'zero', length } : undefined)],
  ['verity', parseVerity],
])

function parseLinear(length: number, words: readonly string[]): LinearTarget | undefined {
  const [device, startSector] = words
  const start = parseNumber(startSector) * sector
  return words.length === 2 && isDevice(device) && Number.isSafeInteger(start)
    ? { kind: 'linear', length, device, start }
    : undefined
}

function parseVerity(length: number, words: readonly string[]): VerityTarget | undefined {
  const [version, dataDevice, hashDevice, dataBlockSize, hashBlockSize, dataBlocks, hashStartBlock, ...rest] = words
  const [algorithm, rootHash, salt, count, ...optional] = rest
  const numbers = [version, dataBlockSize, hashBlockSize, dataBlocks, hashStartBlock].map(parseNumber)
  if (!numbers.every(Number.isSafeInteger) || !isDevice(dataDevice) || !isDevice(hashDevice)) return undefined
  if (algorithm === undefined || !isHex(rootHash) || !(salt === '-' || isHex(salt))) return undefined
  const options = count === undefined || parseNumber(count) === optional.length ? parseOptions(optional) : undefined
  return (
    options && {
      kind: 'verity',
      length,
      version: numbers[0]!,
      dataDevice,
      hashDevice,
      dataBlockSize: numbers[1]!,
      hashBlockSize: numbers[2]!,
      dataBlocks: numbers[3]!,
      hashStartBlock: numbers[4]!,
      algorithm,
      rootHash,
      salt: salt === '-' ? '' : salt,
      ...options,
    }
  )
}

/** Optional parameters without a value. */
const flags = {
  ignore_corruption: { onCorruption: 'ignore' },
  restart_on_corruption: { onCorruption: 'restart' },
  panic_on_corruption: { onCorruption: 'panic' },
  restart_on_error: { onError: 'restart' },
  panic_on_error: { onError: 'panic' },
  ignore_zero_blocks: { ignoreZeroBlocks: true },
  check_at_most_once: { checkAtMostOnce: true },
  try_verify_in_tasklet: { tryVerifyInTasklet: true },
} as const satisfies Readonly<Record<string, VerityOptions>>

/** Optional parameters with a value. */
const valued = [
  'use_fec_from_device',
  'fec_blocks',
  'fec_start',
  'fec_roots',
  'root_hash_sig_key_desc',
] as const satisfies readonly string[]

function parseOptions(words: readonly string[]): VerityOptions | undefined {
  let options: VerityOptions = {}
  const values = new Map<string, string>()
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!
    if (isKeyOf(flags, word)) options = { ...options, ...flags[word] }
    else if (valued.some((name) => name === word) && index + 1 < words.length) values.set(word, words[++index]!)
    else return undefined
  }
  const signatureKey = values.get('root_hash_sig_key_desc')
  const errorCorrection = parseErrorCorrection(values)
  return errorCorrection === 'malformed'
    ? undefined
    : { ...options, ...(errorCorrection && { errorCorrection }), ...(signatureKey !== undefined && { signatureKey }) }
}

function parseErrorCorrection(values: ReadonlyMap<string, string>): VerityErrorCorrection | 'malformed' | undefined {
  const device = values.get('use_fec_from_device')
  const [blocks, start, roots] = ['fec_blocks', 'fec_start', 'fec_roots'].map((name) => values.get(name))
  if ([device, blocks, start, roots].every((value) => value === undefined)) return undefined
  const numbers = [blocks, start, roots].map(parseNumber)
  if (!isDevice(device) || !numbers.every(Number.isSafeInteger)) return 'malformed'
  return { device, blocks: numbers[0]!, start: numbers[1]!, roots: numbers[2]! }
}

/** In the order in which the kernel prints them (drivers/md/dm-verity-target.c, verity_status). */
function formatVerity(target: VerityTarget): string {
  const { errorCorrection, signatureKey } = target
  const optional = [
    ...Object.entries(flags).flatMap(([word, option]) => (isSet(target, option) ? [word] : [])),
    ...(errorCorrection
      ? [
          ...['use_fec_from_device', errorCorrection.device, 'fec_blocks', errorCorrection.blocks],
          ...['fec_start', errorCorrection.start, 'fec_roots', errorCorrection.roots],
        ]
      : []),
    ...(signatureKey === undefined ? [] : ['root_hash_sig_key_desc', signatureKey]),
  ]
  return [
    target.version,
    target.dataDevice,
    target.hashDevice,
    target.dataBlockSize,
    target.hashBlockSize,
    target.dataBlocks,
    target.hashStartBlock,
    target.algorithm,
    target.rootHash,
    target.salt || '-',
    ...(optional.length > 0 ? [optional.length, ...optional] : []),
  ].join(' ')
}

function isSet(target: VerityTarget, option: VerityOptions): boolean {
  return Object.entries(option).every(([name, value]) => target[name as keyof VerityOptions] === value)
}

function isKeyOf<Table extends object>(table: Table, key: string): key is string & keyof Table {
  return Object.hasOwn(table, key)
}

/** A decimal number as the kernel prints it; NaN for anything else, numbers past 2⁵³ included. */
function parseNumber(text: string | undefined): number {
  const value = text !== undefined && /^(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : Number.NaN
}

function isDevice(text: string | undefined): text is string {
  return text !== undefined && /^\d+:\d+$/.test(text)
}

function isHex(text: string | undefined): text is string {
  return text !== undefined && /^([0-9a-f]{2})+$/.test(text)
}
