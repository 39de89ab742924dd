import type { Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { encodeMetadata } from './encode.js'
import {
  encodeGeometry,
  type Geometry,
  geometryOffset,
  metadataEnd,
  metadataOffset,
  parseGeometry,
  type SuperCopy,
  structLength,
} from './geometry.js'
import { overfullGroups } from './groups.js'
import type { Metadata } from './metadata.js'
import { parseHeader, parseTables } from './parse.js'
import { longHeader } from './tables.js'

/** A slot of a super partition, as it was read. */
export interface SuperSlot {
  readonly geometry: Geometry
  readonly slot: number
  readonly metadata: Metadata
  /** The copy of the metadata that counts. */
  readonly copy: SuperCopy
  /** What is wrong nevertheless: with the other copies, or with the size of a group. */
  readonly problems: readonly DdiError[]
}

type Read<Value> = { readonly value: Value; readonly error?: undefined } | { readonly error: DdiError }

async function tryRead<Value>(read: () => Promise<Value>): Promise<Read<Value>> {
  try {
    return { value: await read() }
  } catch (error) {
    if (error instanceof DdiError && error.code.startsWith('ERR_DDI_SUPER_')) return { error }
    throw error
  }
}

async function readGeometryCopy(source: Source, copy: SuperCopy): Promise<Read<Geometry>> {
  return await tryRead(async () => {
    const offset = geometryOffset[copy]
    if (source.size < offset + structLength)
      throw new DdiError(
        'ERR_DDI_SUPER_GEOMETRY',
        `geometry of the super partition: there are only ${source.size} bytes`,
      )
    const geometry = parseGeometry(await source.read(offset, structLength))
    if (metadataEnd(geometry) > source.size)
      throw new DdiError(
        'ERR_DDI_SUPER_GEOMETRY',
        `geometry of the super partition: it needs ${metadataEnd(geometry)} bytes of metadata, and there are only ${source.size}`,
      )
    return geometry
  })
}

async function readMetadataCopy(
  source: Source,
  geometry: Geometry,
  slot: number,
  copy: SuperCopy,
): Promise<Read<Metadata>> {
  return await tryRead(async () => {
    const offset = metadataOffset(geometry, slot, copy)
    const header = parseHeader(await source.read(offset, longHeader.length), geometry)
    return parseTables(await source.read(offset + header.length, header.tablesLength), header, geometry)
  })
}

/** The first of two copies that is valid. @throws the error of the first if neither is */
function preferred<Value>(primary: Read<Value>, backup: Read<Value>): { value: Value; copy: SuperCopy } {
  if (!primary.error) return { value: primary.value, copy: 'primary' }
  if (!backup.error) return { value: backup.value, copy: 'backup' }
  throw primary.error
}

/**
 * Reads one slot of a super partition: of geometry and metadata the primary copy counts if it verifies, else the backup.
 * @param slot from 0, which is slot a
 * @throws ERR_DDI_SUPER_SLOT if there are fewer; ERR_DDI_SUPER_GEOMETRY, ERR_DDI_SUPER_HEADER, ERR_DDI_SUPER_TABLES and
 *   ERR_DDI_SUPER_EXTENT if neither copy is valid
 */
export async function readSuper(source: Source, slot = 0): Promise<SuperSlot> {
  const geometries = [await readGeometryCopy(source, 'primary'), await readGeometryCopy(source, 'backup')] as const
  const { value: geometry } = preferred(...geometries)
  if (!Number.isInteger(slot) || slot < 0 || slot >= geometry.slotCount)
    throw new DdiError(
      'ERR_DDI_SUPER_SLOT',
      `there is no metadata slot ${slot}: the super partition has ${geometry.slotCount}`,
    )
  const copies = [
    await readMetadataCopy(source, geometry, slot, 'primary'),
    await readMetadataCopy(source, geometry, slot, 'backup'),
  ] as const
  const { value: metadata, copy } = preferred(...copies)
  const problems = [...geometries, ...copies].flatMap(({ error }, index) =>
    error ? [new DdiError(error.code, `${index % 2 === 0 ? 'primary' : 'backup'} copy: ${error.message}`)] : [],
  )
  const [one, two] = copies
  if (!one.error && !two.error && !sameMetadata(one.value, two.value))
    problems.push(new DdiError('ERR_DDI_SUPER_TABLES', 'backup copy: its metadata is not that of the primary copy'))
  for (const { name, size, maximumSize } of overfullGroups(metadata))
    problems.push(
      new DdiError(
        'ERR_DDI_SUPER_GROUP',
        `the partitions of group ${name} take ${size} bytes of at most ${maximumSize}`,
      ),
    )
  return { geometry, slot, metadata, copy, problems }
}

function sameMetadata(a: Metadata, b: Metadata): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/**
 * Replaces the metadata of one slot, all or nothing: a bad copy is repaired from the other first, then the primary is
 * written, then the backup, each flushed before the next begins (as liblp's UpdatePartitionTable).
 * @param current as it was read from `target`
 * @throws what `encodeMetadata` throws, before anything is written, and what `target` throws
 */
export async function commitSuper(target: Target, current: SuperSlot, next: Metadata): Promise<void> {
  const { geometry, slot } = current
  const bytes = encodeMetadata(next, geometry)
  const put = async (offset: number, bytes: Uint8Array) => {
    await target.write(offset, bytes)
    await target.flush()
  }
  for (const copy of ['primary', 'backup'] as const)
    if ((await readGeometryCopy(target, copy)).error) await put(geometryOffset[copy], encodeGeometry(geometry))
  const other = current.copy === 'primary' ? 'backup' : 'primary'
  const twin = await readMetadataCopy(target, geometry, slot, other)
  if (twin.error || !sameMetadata(twin.value, current.metadata)) {
    const from = metadataOffset(geometry, slot, current.copy)
    const { length, tablesLength } = parseHeader(await target.read(from, longHeader.length), geometry)
    await put(metadataOffset(geometry, slot, other), await target.read(from, length + tablesLength))
  }
  await put(metadataOffset(geometry, slot, 'primary'), bytes)
  await put(metadataOffset(geometry, slot, 'backup'), bytes)
}

/** What a new super partition begins with, in the order to be written: the geometry, which makes it one, comes last. */
export function encodeSuper(
  geometry: Geometry,
  metadata: Metadata,
): readonly { readonly offset: number; readonly bytes: Uint8Array }[] {
  const bytes = encodeMetadata(metadata, geometry)
  const slots = Array.from({ length: geometry.slotCount }, (_, slot) =>
    (['primary', 'backup'] as const).map((copy) => ({ offset: metadataOffset(geometry, slot, copy), bytes })),
  ).flat()
  const copies = (['backup', 'primary'] as const).map((copy) => ({
    offset: geometryOffset[copy],
    bytes: encodeGeometry(geometry),
  }))
  return [...slots, ...copies]
}
