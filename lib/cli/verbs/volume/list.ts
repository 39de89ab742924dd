import { openFile } from '../../../bytes/file.js'
import { type DiskContents, readDisk } from '../../../disk/contents.js'
import { nestedVolumes } from '../../../disk/nested.js'
import { foundExtents, type Volume } from '../../../disk/volume.js'
import { diskArgument } from '../../disk-arguments.js'
import { describeRun } from '../../extents.js'
import { print, printJson } from '../../output.js'
import { printDisk } from '../../pictures/layout.js'
import { array, described, nullable, object, string } from '../../schema.js'
import { bytes, extent, orphan, path, volume, volumeFields } from '../../shapes.js'
import { isTableAlone, printTable, type TableValues, tableOptions } from '../../table.js'
import { flag, verb } from '../../verb.js'
import { describeOrphan, describeVolume } from '../../volume.js'

export default verb({
  summary: 'list the volumes, with a map of the disk',
  arguments: [diskArgument],
  options: { nested: flag('--nested', 'list the volumes of tables in volumes too'), ...tableOptions },
  json: object({
    path,
    size: bytes,
    volumes: array(volume),
    orphans: array(orphan),
    free: array(extent),
    nested: described(
      nullable(
        array(
          object({
            ...volumeFields,
            within: described(nullable(string), 'UUID or label of the volume with its table'),
          }),
        ),
      ),
      'null: not looked for',
    ),
  }),
  examples: ['ddi-attach volume list disk.raw', 'ddi-attach volume list disk.raw -n -b -o LABEL,SIZE'],
  async run([path], { json, nested, ...table }) {
    await using disk = await openFile(path)
    const contents = await readDisk(disk)
    const inner = nested ? (await nestedVolumes(disk, contents.volumes, { anyType: true })).volumes : []
    if (json !== 'off') printJson({ path, size: disk.size, ...describe(contents, nested ? inner : null) }, json)
    else await printVolumes(contents, inner, table, disk.size)
  },
})

function describe({ volumes, orphans, free }: DiskContents, nested: readonly Volume[] | null) {
  return {
    volumes: volumes.map(describeVolume),
    orphans: orphans.map(describeOrphan),
    free: free.map(describeRun),
    nested: nested?.map((volume) => ({ ...describeVolume(volume), within: holderOf(volume) })) ?? null,
  }
}

/** The UUID, or else the label, of the volume whose table names this one. */
function holderOf({ origin }: Volume): string | null {
  return origin.kind === 'nested' ? origin.within.uuid || origin.within.label : null
}

/** @param size of the disk, in bytes */
async function printVolumes(
  contents: DiskContents,
  nested: readonly Volume[],
  table: TableValues,
  size: number,
): Promise<void> {
  await printTable(
    ['VOLUME', 'LABEL', 'SIZE', 'SEGMENTS', 'STATE', 'UUID', ...(nested.length > 0 ? ['WITHIN'] : [])],
    [...contents.volumes, ...nested].map((volume) => [
      volume.designator,
      volume.label,
      { bytes: volume.size },
      foundExtents(volume).length,
      volume.state === 'broken' ? 'broken' : 'good',
      volume.uuid,
      ...(nested.length > 0 ? [holderOf(volume)] : []),
    ]),
    table,
  )
  if (isTableAlone(table)) return
  print('')
  await printDisk(contents, size, table.bytes)
}
