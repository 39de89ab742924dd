import { linear } from '../bytes/extents.js'
import { findOverlap } from '../bytes/runs.js'
import type { LinearExtent, Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { type Mbr, type MbrPartition, readMbr } from '../gpt/mbr-partitions.js'
import { probe } from './probe.js'
import type { WholeVolume } from './volume.js'

/** What the types of an MBR are for: those that systemd-dissect knows. */
const designators = new Map([
  [0x83, 'linux-generic'],
  [0xea, 'xbootldr'],
] as const)

/**
 * The volumes of a disk with an MBR and no GPT; what libblkid takes for a file system from the first sector on has none.
 * @returns undefined if it has no MBR
 * @throws ERR_DDI_SHORT_READ, ERR_DDI_GPT_OVERLAP for partitions where none can be, and as `probe`
 */
export async function mbrVolumes(
  disk: Source,
): Promise<{ readonly id: string; readonly volumes: readonly WholeVolume<LinearExtent>[] } | undefined> {
  const mbr = await readMbr(disk)
  if (!mbr || (await probe(disk, 'the disk')) !== null) return undefined
  const outside = mbr.partitions.find(({ start, length }) => start === 0 || start + length > disk.size)
  if (outside)
    throw new DdiError(
      'ERR_DDI_SHORT_READ',
      `partition ${outside.number} of the MBR is ${outside.length} bytes from ${outside.start}, and the disk has ${disk.size}: it is truncated`,
    )
  if (findOverlap(mbr.partitions)) throw new DdiError('ERR_DDI_GPT_OVERLAP', 'two partitions of the MBR overlap')
  return { id: mbr.id, volumes: mbr.partitions.map((one) => volumeOf(mbr, one)) }
}

function volumeOf({ id }: Mbr, { number, type, active, start, length }: MbrPartition): WholeVolume<LinearExtent> {
  return {
    state: 'whole',
    origin: { kind: 'mbr-partition', number, type, active },
    designator: designators.get(type as 0x83) ?? null,
    architecture: null,
    // As libblkid makes it.
    uuid: `${id}-${number.toString(16).padStart(2, '0')}`,
    typeUuid: null,
    label: null,
    flags: { readOnly: false, noAuto: false, growFileSystem: false },
    size: length,
    extents: linear([{ start, length }]),
  }
}
