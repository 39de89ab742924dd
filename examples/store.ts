// Keeps several images on one disk, of which the newest that works boots: store DISK IMAGE
import { pathToFileURL } from 'node:url'
import { initDisk, installImage, storeOn } from 'ddi'

const [path = 'disk.raw', image = 'acme_1.raw'] = process.argv.slice(2)
await using disk = await initDisk(path)
const store = storeOn(disk)
const installed = await installImage(store, pathToFileURL(image))
// It has three boots to become good; here it is said at once.
await store.mark(installed.image, 'good')
for (const { label, state, tries } of store.images) console.log(label, state, tries)
console.log('next boot:', store.candidates(installed.image.product)[0]?.label ?? 'none')
