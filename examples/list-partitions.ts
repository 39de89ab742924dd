// Lists what a disk image holds, without privileges: list-partitions IMAGE
import { dissect, openImage } from 'ddi'

const [path = 'os.raw'] = process.argv.slice(2)
await using image = await openImage(path)
const { volumes } = await dissect(image)
for (const { designator, label, size, fileSystem } of volumes)
  console.log(designator ?? '-', label || '-', size, fileSystem?.type ?? '-')
