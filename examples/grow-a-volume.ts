// Makes two volumes on a blank disk image, and grows the first one past the second: grow-a-volume DISK
import { initDisk, makeVolumeHead } from 'ddi'

const [path = 'disk.raw'] = process.argv.slice(2)
const MiB = 2 ** 20
await using disk = await initDisk(path)
const home = await disk.create(makeVolumeHead({ type: 'home', label: 'home' }), 8 * MiB)
await disk.create(makeVolumeHead({ type: 'srv', label: 'srv' }), 8 * MiB)
const grown = await disk.grow(home, 8 * MiB)
console.log(grown.label, grown.size, grown.extents.length)
for (const { start, length } of disk.free) console.log('free', start, length)
