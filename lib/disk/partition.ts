import { linear, totalLength } from '../bytes/extents.js'
import type { LinearExtent, Run } from '../bytes/source.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { type Gpt, type Partition, partitionAttributes } from '../gpt/table.js'
import { type FoundChain, findChains } from './chain.js'
import type { ChainOrigin, Segment, Volume } from './volume.js'

/** An extension partition that no chain reaches; its space can be reclaimed. Both in bytes. */
export interface Orphan extends Run {
  readonly uuid: string
}

/** The volumes of a GPT, a chain being one, in the order of the heads' numbers; and the extensions that none reaches. */
export function tableVolumes(table: Gpt): {
  readonly volumes: readonly Volume<LinearExtent>[]
  readonly orphans: readonly Orphan[]
} {
  const { chains, orphans } = findChains(table)
  return {
    volumes: chains.map(chainVolume),
    orphans: orphans.map(({ uuid, start, length }) => ({ uuid, start, length })),
  }
}

/** A chain as a volume. */
export function chainVolume({ segments, defect }: FoundChain): Volume<LinearExtent> {
  const [head, ...others] = segments
  const facts = { ...partitionFacts(head), size: totalLength(segments) }
  const chain: ChainOrigin = { kind: 'chain', segments: [segmentOf(head), ...others.map(segmentOf)] }
  if (defect) return { state: 'broken', ...facts, origin: chain, defect }
  const { number, attributes } = head
  const origin = others.length > 0 ? chain : { kind: 'partition' as const, number, attributes }
  return { state: 'whole', ...facts, origin, extents: linear(segments) }
}

function segmentOf({ number, uuid, attributes, start, length }: Partition): Segment {
  return { number, uuid, attributes, start, length }
}

/** What a partition's entry says of the volume that it names. */
function partitionFacts({ typeUuid, uuid, label, attributes }: Partition) {
  const type = dpsTypes.get(typeUuid)
  const has = (bit: bigint) => (attributes & bit) !== 0n
  return {
    designator: type?.designator ?? null,
    architecture: type?.architecture ?? null,
    uuid,
    typeUuid,
    label,
    flags: {
      readOnly: has(partitionAttributes.readOnly),
      noAuto: has(partitionAttributes.noAuto),
      growFileSystem: has(partitionAttributes.growFileSystem),
    },
  }
}
