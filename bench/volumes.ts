// The library's own time for a disk whose 128 entries are all of chains.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { openFile } from '../lib/bytes/file.js'
import { readDisk } from '../lib/disk/contents.js'
import { dissect, openDisk, openImage, plan } from '../lib/index.js'
import { MiB, makeGptImage, typeUuids } from '../test/support/images.js'
import { temporaryFolder } from '../test/support/run.js'
import { median, report, time } from './compare.js'

/** Volumes that grew in turns, so that each continues behind the others. */
async function makeChains(path: string, volumes: number): Promise<void> {
  makeGptImage(path, 256 * MiB, [])
  await using disk = await openDisk(path)
  const uuids = Array.from({ length: volumes }, () => randomUUID())
  for (const [n, uuid] of uuids.entries())
    await disk.create({ uuid, label: `os_${n}`, typeUuid: typeUuids.home, attributes: 0n }, MiB)
  for (let entry = volumes; entry < 128; entry++) await disk.grow(disk.find(uuids[entry % volumes]!), MiB)
}

const rounds = 50
for (const volumes of [2, 10, 64]) {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  await makeChains(path, volumes)
  const times = { list: [] as number[], plan: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    times.list.push(
      await time(async () => {
        await using file = await openFile(path)
        await readDisk(file)
      }),
    )
    times.plan.push(
      await time(async () => {
        await using image = await openImage(path)
        plan(await dissect(image, { probe: 'used' }))
      }),
    )
  }
  console.log(`128 entries, all of chains, ${volumes} volumes (median of ${rounds})`)
  for (const [verb, values] of Object.entries(times))
    report(
      `${median(values).toFixed(2)} ms for ${verb === 'list' ? 'volume list' : verb}`,
      median(values) < 5,
      'under 5',
    )
}
