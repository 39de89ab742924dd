import { openDisk } from '../../../attach/disk.js'
import { diskArgument, volumeArgument } from '../../disk-change.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'remove a volume with all its segments',
  arguments: [diskArgument, volumeArgument],
  options: {},
  examples: ['ddi-attach volume remove disk.raw acme_1.3'],
  async run([path, name]) {
    await using disk = await openDisk(path)
    await disk.remove(disk.find(name))
  },
})
