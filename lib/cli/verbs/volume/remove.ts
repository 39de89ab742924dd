import { openDisk } from '../../../attach/disk.js'
import { findByName } from '../../../disk/volume.js'
import { diskArgument, volumeArgument } from '../../disk-arguments.js'
import { printJson } from '../../output.js'
import { object } from '../../schema.js'
import { volume } from '../../shapes.js'
import { verb } from '../../verb.js'
import { describeVolume } from '../../volume.js'

export default verb({
  summary: 'remove a volume with all its segments, or what was found of a broken one',
  arguments: [diskArgument, volumeArgument],
  options: {},
  json: object({ removed: volume }),
  examples: ['ddi-attach volume remove disk.raw acme_1.3'],
  asks: ([path, name]) => `Remove the volume ${name} of ${path}, with all that it holds?`,
  async run([path, name], { json }) {
    await using disk = await openDisk(path)
    const volume = findByName(disk.volumes, name, path)
    await (volume.state === 'broken' ? disk.discard(volume) : disk.remove(volume))
    if (json !== 'off') printJson({ removed: describeVolume(volume) }, json)
  },
})
