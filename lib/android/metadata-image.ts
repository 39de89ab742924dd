import { joinOctets } from '../bytes/octets.js'
import { overlaySource } from '../bytes/overlay.js'
import { zeroSource } from '../bytes/repeat.js'
import type { Run, Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { encodeMetadata } from './encode.js'
import {
  encodeGeometry,
  type Geometry,
  hasGeometryMagic,
  metadataEnd,
  parseGeometry,
  structLength,
} from './geometry.js'
import type { Metadata } from './metadata.js'
import { parseHeader, parseTables } from './parse.js'
import { encodeSuper, type SuperSlot } from './super.js'
import { longHeader, shortHeader } from './tables.js'

/** What the geometry takes, before the metadata: liblp's images.cpp. */
const metadataStart = 4096

/** Whether bytes are those of a super_empty.img: a geometry and metadata, without a place for partitions. */
export async function isMetadataImage(source: Source): Promise<boolean> {
  return source.size >= structLength && hasGeometryMagic(await source.read(0, 4))
}

/**
 * Reads a super_empty.img, as the builds of Android leave it for those who make a super partition later.
 * @param slot whose suffix names get: the metadata is the same for each
 * @throws ERR_DDI_SUPER_SLOT, ERR_DDI_SUPER_GEOMETRY, ERR_DDI_SUPER_HEADER, ERR_DDI_SUPER_TABLES, ERR_DDI_SUPER_EXTENT
 */
export async function readMetadataImage(source: Source, slot = 0): Promise<SuperSlot> {
  const geometry = parseGeometry(await source.read(0, structLength))
  if (slot >= geometry.slotCount)
    throw new DdiError(
      'ERR_DDI_SUPER_SLOT',
      `there is no metadata slot ${slot}: the image is for ${geometry.slotCount}`,
    )
  const short = () => new DdiError('ERR_DDI_SUPER_HEADER', `metadata image: there are only ${source.size} bytes`)
  const there = Math.min(source.size - metadataStart, longHeader.length)
  if (there < shortHeader.length) throw short()
  // That of version 10.0 may be all, with its tables.
  const bytes = joinOctets([await source.read(metadataStart, there)], longHeader.length)
  const header = parseHeader(bytes, geometry)
  const start = metadataStart + header.length
  if (source.size < start + header.tablesLength) throw short()
  const metadata = parseTables(await source.read(start, header.tablesLength), header, geometry)
  return { geometry, slot, metadata, copy: 'primary', problems: [] }
}

/** The bytes of a super_empty.img. @throws as `encodeMetadata` */
export function encodeMetadataImage(geometry: Geometry, metadata: Metadata): Uint8Array {
  return joinOctets([encodeGeometry(geometry), encodeMetadata(metadata, geometry)])
}

/** The device that a super_empty.img describes, with the metadata in every slot and nothing in its partitions. */
export function superOf({ geometry, metadata }: SuperSlot): Source & { readonly written: readonly Run[] } {
  return {
    ...overlaySource(zeroSource(metadata.devices[0].size), encodeSuper(geometry, metadata)),
    written: [{ start: 0, length: metadataEnd(geometry) }],
  }
}
