// Mounts an image whose root hash is known, and reads a file of it; as root: attach-and-mount IMAGE ROOT_HASH DIRECTORY
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mountImage } from 'ddi'

const [path = 'os.raw', rootHash = '', directory = '/mnt'] = process.argv.slice(2)
// Leaving the scope unmounts it, and removes its devices.
await using mounted = await mountImage(path, directory, { rootHash })
for (const { designator, device, verified } of mounted.volumes) console.log(designator, device, verified)
console.log(await readFile(join(directory, 'etc/os-release'), 'utf8'))
