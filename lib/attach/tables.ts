import type { DmTarget } from '../../bindings/addon.js'
import type { Extent } from '../block/source.js'

const sector = 512

/** drivers/md/dm-linear.c: `<device> <start sector>`, a target per extent. @param base `major:minor` */
export function linearTable(extents: readonly Extent[], base: string): DmTarget[] {
  let startSector = 0
  return extents.map(({ start, length }) => {
    const sectorCount = Math.floor(length / sector)
    const target = { startSector, sectorCount, type: 'linear', parameters: `${base} ${Math.floor(start / sector)}` }
    startSector += sectorCount
    return target
  })
}

/** The extents of a table of linear targets, in bytes; none for other targets. */
export function linearExtents(table: readonly DmTarget[]): Extent[] {
  return table.flatMap(({ type, sectorCount, parameters }) =>
    type === 'linear' ? [{ start: Number(parameters.split(' ')[1]) * sector, length: sectorCount * sector }] : [],
  )
}
