import { DdiError } from '../../../errors.js'
import { ambiguousProducts, type FoundStore, findStores, readStore } from '../../../store/disks.js'
import { runningImage } from '../../../store/running.js'
import { printable } from '../../../text.js'
import { describeRun } from '../../extents.js'
import { note, print, printJson } from '../../output.js'
import { printDisk } from '../../pictures/layout.js'
import { array, boolean, described, object, string } from '../../schema.js'
import { bytes, extent, imageFields, path } from '../../shapes.js'
import { describeImage } from '../../store.js'
import { isTableAlone, printTable, type TableValues, tableOptions } from '../../table.js'
import { argument, flag, verb } from '../../verb.js'

export default verb({
  summary: 'list the images of a store, with a map of its disk',
  arguments: [argument('[disk]', 'disk image or block device')],
  options: { all: flag('--all', 'of all block devices that hold images'), ...tableOptions },
  json: object({
    stores: array(
      object({
        path,
        size: bytes,
        images: array(object({ ...imageFields, running: boolean })),
        free: array(extent),
      }),
    ),
    ambiguous: array(described(string, 'a product that lies on several disks')),
  }),
  examples: ['ddi-attach store list disk.raw', 'ddi-attach store list --all'],
  async run([path], { all, json, ...table }) {
    if ((path === undefined) !== all) throw new DdiError('ERR_DDI_USAGE', 'give either a disk or --all')
    const stores = path === undefined ? await findStores() : [await readStore(path)]
    const running = await runningImage()
    if (json !== 'off') {
      const described = stores.map((store) => describe(store, running))
      return printJson({ stores: described, ambiguous: ambiguousProducts(stores) }, json)
    }
    for (const [index, store] of stores.entries()) {
      if (all && !isTableAlone(table)) print(`${index > 0 ? '\n' : ''}${printable(store.path)}`)
      await printStore(store, running, table)
    }
    for (const product of ambiguousProducts(stores))
      note(`images of ${product} lie on several disks: none of them boots unless the disk is named`)
  },
})

function describe({ path, size, images, free }: FoundStore, running: string | undefined) {
  return {
    path,
    size,
    images: images.map((one) => ({ ...describeImage(one), running: one.uuid === running })),
    free: free.map(describeRun),
  }
}

async function printStore(store: FoundStore, running: string | undefined, table: TableValues): Promise<void> {
  await printTable(
    ['IMAGE', 'STATE', 'TRIES', 'PRIORITY', 'KEPT', 'RUNS', 'SIZE', 'SEGMENTS', 'UUID'],
    store.images.map(({ label, state, tries, priority, keep, uuid, volume }) => [
      label,
      state,
      state === 'new' ? tries : null,
      priority,
      keep ? 'yes' : null,
      uuid === running ? 'yes' : null,
      { bytes: volume.size },
      volume.extents.length,
      uuid,
    ]),
    table,
  )
  if (isTableAlone(table)) return
  print('')
  await printDisk(store, store.size, table.bytes)
}
