import { openDisk } from '../../../attach/disk.js'
import { findByName, foundExtents } from '../../../disk/volume.js'
import { printable } from '../../../text.js'
import { diskArgument, volumeArgument } from '../../disk-arguments.js'
import { printChangedDisk } from '../../disk-change.js'
import { dryRunOption } from '../../dry-run.js'
import { counted, formatSize, print, printJson } from '../../output.js'
import { object } from '../../schema.js'
import { dryRun, volume } from '../../shapes.js'
import { verb } from '../../verb.js'
import { describeVolume } from '../../volume.js'

export default verb({
  summary: 'remove a volume with all its segments, or what was found of a broken one',
  arguments: [diskArgument, volumeArgument],
  options: dryRunOption,
  json: object({ removed: volume, dryRun }),
  examples: ['ddi-attach volume remove disk.raw acme_1.3'],
  asks: ([path, name]) => `Remove the volume ${name} of ${path}, with all that it holds?`,
  async run([path, name], { json, dryRun }) {
    await using disk = await openDisk(path, { dryRun })
    const volume = findByName(disk.volumes, name, path)
    await (volume.state === 'broken' ? disk.discard(volume) : disk.remove(volume))
    if (json !== 'off') return printJson({ removed: describeVolume(volume), dryRun }, json)
    if (!dryRun) return
    const { label, uuid, size } = volume
    print(
      `${printable(label || uuid!)}: would be removed, ${formatSize(size)} in ${counted(foundExtents(volume).length, 'segment')}`,
    )
    await printChangedDisk(disk)
  },
})
