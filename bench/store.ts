// Image stores: choosing among many images, listing them, and installing a large one.
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { openFile } from '../lib/bytes/file.js'
import { readDisk } from '../lib/disk/contents.js'
import { candidates, initDisk, nestedTypeUuid, readStore } from '../lib/index.js'
import { newAttributes } from '../lib/store/state.js'
import { emptyFile, MiB, makeGptImage, typeUuids } from '../test/support/images.js'
import { cliPath, run, temporaryFolder } from '../test/support/run.js'
import { compare, makeRandomFile, median, report, time } from './compare.js'

const products = 10
const versions = 10
const rounds = 25

async function makeStore(path: string): Promise<void> {
  emptyFile(path, 256 * MiB)
  await using disk = await initDisk(path, { entries: 512 })
  for (let product = 0; product < products; product++)
    for (let version = 0; version < versions; version++) {
      const head = { typeUuid: nestedTypeUuid, uuid: randomUUID(), attributes: newAttributes(3) }
      await disk.create({ ...head, label: `product-${product}_1.${version}` }, MiB)
    }
}

using folder = temporaryFolder()
const disk = join(folder.path, 'disk.raw')
await makeStore(disk)

const times = { open: [] as number[], choose: [] as number[], version: [] as number[], list: [] as number[] }
for (let round = 0; round < rounds; round++) {
  times.open.push(
    await time(async () => {
      await using file = await openFile(disk)
      await readDisk(file)
    }),
  )
  times.choose.push(
    await time(async () => {
      const { images } = await readStore(disk)
      candidates(images, 'product-7')
    }),
  )
  times.version.push(await time(async () => void run(process.execPath, cliPath, '--version')))
  times.list.push(await time(async () => void run(process.execPath, cliPath, 'store', 'list', disk)))
}
const over = { choose: median(times.choose) - median(times.open), list: median(times.list) - median(times.version) }
console.log(`a store of ${products * versions} images of ${products} products (median of ${rounds})`)
report(`${over.choose.toFixed(1)} ms to choose one, over opening the disk`, over.choose <= 50, 'at most 50')
report(`${over.list.toFixed(1)} ms for store list, over ddi-attach --version`, over.list <= 30, 'at most 30')

const data = join(folder.path, 'data')
makeRandomFile(data, 1024 * MiB)
const image = join(folder.path, 'acme_1.raw')
makeGptImage(image, 1026 * MiB, [{ type: typeUuids.root, size: 1024 * MiB, from: data }])
rmSync(data)
const target = join(folder.path, 'target.raw')
await compare({
  title: 'installing an image of 1 GiB of random bytes from a file',
  rounds: 5,
  ours: {
    name: 'ddi-attach store install',
    run: async () => {
      rmSync(target, { force: true })
      emptyFile(target, 1200 * MiB)
      await (await initDisk(target)).close()
      run(process.execPath, cliPath, 'store', 'install', target, image)
    },
  },
  peer: {
    name: 'cp, and sync of the copy',
    run: async () => {
      rmSync(target, { force: true })
      run('sh', '-c', `cp '${image}' '${target}' && sync '${target}'`)
    },
  },
  // At most 1.15 of the time.
  target: 1 / 1.15,
})
