// Shows the logical partitions of an Android super image, sparse or not, and hashes the bytes of each: read-super-image IMAGE
import { createHash } from 'node:crypto'
import { logicalPartitions, openImage, volumeSource } from 'ddi'

const [path = 'super.img'] = process.argv.slice(2)
await using image = await openImage(path, { slot: 0 })
for (const { label, size } of logicalPartitions(image.volumes, [], path)) {
  const bytes = volumeSource(image, label!)
  const hash = createHash('sha256')
  for (let done = 0; done < size; done += 2 ** 20) hash.update(await bytes.read(done, Math.min(2 ** 20, size - done)))
  console.log(label, size, hash.digest('hex'))
}
