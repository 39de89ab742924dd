import { mountImage } from '../../mount/mount.js'
import { imageArgument, mountOptions, mountWork } from '../options.js'
import { printJson } from '../output.js'
import { array, boolean, object, string } from '../schema.js'
import { fileSystem, path } from '../shapes.js'
import { printTable, tableOptions } from '../table.js'
import { argument, verb } from '../verb.js'

export default verb({
  summary: 'attach an image, and mount the volumes that this machine would use',
  arguments: [imageArgument, argument('<directory>', 'where to mount it')],
  options: { ...mountOptions, ...tableOptions },
  json: object({
    name: string,
    image: path,
    path,
    volumes: array(
      object({
        designator: string,
        device: path,
        path,
        fileSystem: fileSystem,
        readOnly: boolean,
        noExec: boolean,
        verified: boolean,
      }),
    ),
  }),
  examples: [
    'ddi-attach mount os_1.2.raw /mnt',
    'ddi-attach mount data.raw /mnt --writable --mount-options home:noatime',
  ],
  async run([image, directory], options) {
    const mounted = await mountImage(image, directory, await mountWork(options))
    const { name, path, volumes } = mounted
    if (options.json !== 'off') {
      const described = volumes.map(({ fileSystem, ...one }) => {
        return { ...one, fileSystem: { type: fileSystem, label: null, uuid: null, blockSize: null } }
      })
      printJson({ name, image: mounted.image, path, volumes: described }, options.json)
      return
    }
    await printTable(
      ['VOLUME', 'PATH', 'DEVICE', 'FSTYPE', 'RO', 'NOEXEC', 'VERIFIED'],
      volumes.map(({ designator, path, device, fileSystem, readOnly, noExec, verified }) => [
        designator,
        path,
        device,
        fileSystem,
        readOnly ? 'yes' : 'no',
        noExec ? 'yes' : 'no',
        verified ? 'yes' : 'no',
      ]),
      options,
    )
  },
})
