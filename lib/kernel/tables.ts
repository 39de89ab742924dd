import type { DmTarget } from '../../bindings/addon.js'
import type { BaseExtent } from '../bytes/extents.js'
import type { Run } from '../bytes/source.js'

const sector = 512

/**
 * A target per extent: drivers/md/dm-linear.c takes `<device> <start sector>`, drivers/md/dm-zero.c nothing.
 * @param extents of bases named `major:minor`
 */
export function linearTable(extents: readonly BaseExtent<string>[]): DmTarget[] {
  let startSector = 0
  return extents.map((extent): DmTarget => {
    const place = { startSector, sectorCount: Math.floor(extent.length / sector) }
    startSector += place.sectorCount
    return extent.kind === 'zero'
      ? { ...place, type: 'zero', parameters: '' }
      : { ...place, type: 'linear', parameters: `${extent.base} ${Math.floor(extent.start / sector)}` }
  })
}

/** The extents of a table of linear targets, in bytes; none for other targets. */
export function linearExtents(table: readonly DmTarget[]): Run[] {
  return table.flatMap(({ type, sectorCount, parameters }) =>
    type === 'linear' ? [{ start: Number(parameters.split(' ')[1]) * sector, length: sectorCount * sector }] : [],
  )
}
