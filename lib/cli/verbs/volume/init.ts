import { initDisk } from '../../../attach/disk.js'
import { diskArgument } from '../../disk-change.js'
import { given } from '../../given.js'
import { uuid } from '../../values.js'
import { flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'make an empty GPT on a blank disk',
  arguments: [diskArgument],
  options: {
    uuid: option('--uuid <uuid>', 'UUID of the disk (default: a random one)', uuid),
    force: flag('--force', 'overwrite what the disk holds'),
  },
  examples: ['truncate --size 64M disk.raw', 'ddi-attach volume init disk.raw'],
  async run([path], { uuid, force }) {
    const disk = await initDisk(path, { force, ...given({ uuid }) })
    await disk.close()
  },
})
