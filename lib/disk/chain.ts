import { nodeCrypto } from '../bytes/crypto.js'
import type { Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { type Gpt, type Partition, partitionAttributes } from '../gpt/table.js'
import { formatUuid, parseUuid } from '../uuid.js'
import { segmentUnit } from './allocation.js'

/** The partition type of extensions (docs/extension-partitions.md). */
export const extensionTypeUuid = '793963ad-38e6-48e4-a713-d842eeed84ee'

/** The partition type of a partition that holds a GPT of its own (docs/nested-tables.md). */
export const nestedTypeUuid = '546aa983-5c4a-4c3f-9f80-ecf5ed9983d9'

const typeBytes = parseUuid(extensionTypeUuid)!

/**
 * The UUID of the nth extension of a head: HMAC-SHA256 in counter mode, as docs/extension-partitions.md specifies.
 * @param head partition UUID of the head
 * @param n from 1, below 2^64
 * @throws ERR_DDI_USAGE for an invalid UUID or counter
 */
export function extensionUuid(head: string, n: number | bigint): string {
  const key = parseUuid(head)
  if (!key) throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(head)} is not a UUID`)
  if (typeof n === 'number' ? !Number.isSafeInteger(n) || n < 1 : n < 1n || n >= 2n ** 64n)
    throw new DdiError('ERR_DDI_USAGE', `invalid number of an extension: ${n}; extensions count from 1`)
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64LE(BigInt(n))
  const uuid = nodeCrypto().createHmac('sha256', key).update(typeBytes).update(counter).digest().subarray(0, 16)
  // A UUIDv8 of the RFC 9562 variant.
  uuid[6] = (uuid[6]! & 0x0f) | 0x80
  uuid[8] = (uuid[8]! & 0x3f) | 0x80
  return formatUuid(uuid)
}

/** The partitions of a volume in order: a head and its extensions. A head without extensions is a chain of one. */
export type Chain = readonly [Partition, ...Partition[]]

/** A chain as it was found. */
export interface FoundChain {
  /** Of a broken chain, those that were found. */
  readonly segments: Chain
  readonly defect?: DdiError
}

/** Whether volumes of a type may continue in extensions: attribute bit 58 of others is theirs. */
export function mayContinue(typeUuid: string): boolean {
  return dpsTypes.has(typeUuid) || typeUuid === nestedTypeUuid || typeUuid === extensionTypeUuid
}

/** Whether a partition says that its volume goes on in an extension. */
export function isContinued({ attributes, typeUuid }: Partition): boolean {
  return (attributes & partitionAttributes.continued) !== 0n && mayContinue(typeUuid)
}

/** The chains of a table, in the order of their heads, and the extensions that none reaches. */
export function findChains(table: Gpt): {
  readonly chains: readonly FoundChain[]
  readonly orphans: readonly Partition[]
} {
  const byUuid = new Map<string, [Partition, ...Partition[]]>()
  for (const partition of table.partitions) {
    const same = byUuid.get(partition.uuid)
    if (same) same.push(partition)
    else byUuid.set(partition.uuid, [partition])
  }
  const heads = table.partitions.filter(({ typeUuid }) => typeUuid !== extensionTypeUuid)
  const twins = twinsOf(heads.filter(isContinued))
  const chains = heads.map((head) => followChain(head, twins.get(head), byUuid, table.entryCount))
  const reached = new Set(chains.flatMap(({ segments }) => segments))
  const orphans = table.partitions.filter((one) => one.typeUuid === extensionTypeUuid && !reached.has(one))
  return { chains, orphans }
}

/** Of each partition, another one of its UUID, if there is any. */
function twinsOf(partitions: readonly Partition[]): ReadonlyMap<Partition, Partition> {
  const first = new Map<string, Partition>()
  const twins = new Map<Partition, Partition>()
  for (const one of partitions) {
    const other = first.get(one.uuid)
    if (other) {
      twins.set(one, other)
      twins.set(other, one)
    } else first.set(one.uuid, one)
  }
  return twins
}

/** @param twin a head of the same UUID that continues too */
function followChain(
  head: Partition,
  twin: Partition | undefined,
  byUuid: ReadonlyMap<string, readonly Partition[]>,
  most: number,
): FoundChain {
  const segments: [Partition, ...Partition[]] = [head]
  const name = `volume ${JSON.stringify(head.label)} (${head.uuid})`
  const broken = (what: string): FoundChain => ({
    segments,
    defect: new DdiError('ERR_DDI_CHAIN_BROKEN', `${name} is broken: ${what}. It cannot be used`),
  })
  // Both would go on in the same extensions: no block is in two volumes.
  if (twin)
    return broken(
      `partitions ${head.number} and ${twin.number} have one UUID, and both continue in its extensions: remove one, or give it another UUID`,
    )
  while (isContinued(segments.at(-1)!)) {
    const n = segments.length
    if (n >= most) return broken(`it continues after ${n} segments, as many as the table has entries`)
    const uuid = extensionUuid(head.uuid, n)
    const [next, second] = byUuid.get(uuid) ?? []
    if (!next) return broken(`extension ${n}, partition UUID ${uuid}, is missing`)
    if (second)
      return broken(`duplicate extension ${n}, partition UUID ${uuid}: partitions ${next.number} and ${second.number}`)
    if (next.typeUuid !== extensionTypeUuid)
      return broken(`extension ${n}, partition ${next.number}, UUID ${uuid}, is of type ${next.typeUuid}`)
    segments.push(next)
  }
  const crooked = segments.findIndex(({ start, length }) => start % segmentUnit !== 0 || length % segmentUnit !== 0)
  if (segments.length === 1 || crooked < 0) return { segments }
  const { number, uuid, start, length } = segments[crooked]!
  return {
    segments,
    defect: new DdiError(
      'ERR_DDI_CHAIN_MISALIGNED',
      `${name} is misaligned: segment ${crooked}, partition ${number}, UUID ${uuid}, has ${length} bytes from ${start}, not multiples of ${segmentUnit}`,
    ),
  }
}

/** What names a volume: its head's fields. */
export interface VolumeHead {
  readonly typeUuid: string
  readonly uuid: string
  /** At most 36 UTF-16 code units. */
  readonly label: string
  /** All 64 attribute bits; CONTINUED is set as the chain needs it. */
  readonly attributes: bigint
}

/**
 * The partitions of a volume: its head, and an extension for each further run.
 * @param runs at least one
 * @param numbers of the entries, at least as many as runs
 */
export function chainPartitions(
  head: VolumeHead,
  runs: readonly Run[],
  numbers: readonly number[],
): readonly Partition[] {
  // Of types that do not continue, the bit is theirs.
  const ofHead = mayContinue(head.typeUuid) ? head.attributes & ~partitionAttributes.continued : head.attributes
  return runs.map(({ start, length }, n): Partition => {
    const more = n < runs.length - 1 ? partitionAttributes.continued : 0n
    const place = { number: numbers[n]!, start, length }
    return n === 0
      ? { ...place, typeUuid: head.typeUuid, uuid: head.uuid, label: head.label, attributes: ofHead | more }
      : {
          ...place,
          typeUuid: extensionTypeUuid,
          uuid: extensionUuid(head.uuid, n),
          label: head.label,
          attributes: partitionAttributes.noAuto | more,
        }
  })
}
