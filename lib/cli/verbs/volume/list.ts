import { openFile } from '../../../bytes/file.js'
import { type DiskContents, readDisk } from '../../../disk/disk.js'
import { foundExtents } from '../../../disk/volume.js'
import { diskArgument } from '../../disk-change.js'
import { describeExtents } from '../../extents.js'
import { printDisk } from '../../layout.js'
import { json } from '../../options.js'
import { print, printJson } from '../../output.js'
import { isTableAlone, printTable, type TableValues, tableOptions } from '../../table.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'list the volumes, with a map of the disk',
  arguments: [diskArgument],
  options: { ...tableOptions, ...json },
  examples: ['ddi-attach volume list disk.raw', 'ddi-attach volume list disk.raw -n -b -o LABEL,SIZE'],
  async run([path], { json, ...table }) {
    await using disk = await openFile(path)
    const contents = await readDisk(disk)
    if (json !== 'off') printJson(describe(contents), json)
    else await printVolumes(contents, disk.size, table)
  },
})

function describe({ volumes, orphans, free }: DiskContents) {
  const shown = volumes.map((volume) => ({
    designator: volume.designator,
    uuid: volume.uuid,
    label: volume.label,
    size: volume.size,
    extents: describeExtents(foundExtents(volume)),
    defect: volume.state === 'broken' ? volume.defect.message : null,
  }))
  return { volumes: shown, orphans, free }
}

/** @param size of the disk, in bytes */
async function printVolumes(contents: DiskContents, size: number, table: TableValues): Promise<void> {
  await printTable(
    ['VOLUME', 'LABEL', 'SIZE', 'SEGMENTS', 'STATE', 'UUID'],
    contents.volumes.map((volume) => [
      volume.designator,
      volume.label,
      { bytes: volume.size },
      foundExtents(volume).length,
      volume.state === 'broken' ? 'broken' : 'good',
      volume.uuid,
    ]),
    table,
  )
  if (isTableAlone(table)) return
  print('')
  await printDisk(contents, size)
}
