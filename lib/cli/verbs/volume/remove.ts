import { openDisk } from '../../../attach/disk.js'
import { findByName } from '../../../disk/volume.js'
import { diskArgument, volumeArgument } from '../../disk-change.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'remove a volume with all its segments, or what was found of a broken one',
  arguments: [diskArgument, volumeArgument],
  options: {},
  examples: ['ddi-attach volume remove disk.raw acme_1.3'],
  async run([path, name]) {
    await using disk = await openDisk(path)
    const volume = findByName(disk.volumes, name, path)
    await (volume.state === 'broken' ? disk.discard(volume) : disk.remove(volume))
  },
})
