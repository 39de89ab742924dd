import { openDisk } from '../../../attach/disk.js'
import { printable } from '../../../text.js'
import { diskArgument } from '../../disk-arguments.js'
import { printChangedDisk } from '../../disk-change.js'
import { dryRunOption } from '../../dry-run.js'
import { untilInterrupted } from '../../interrupt.js'
import { counted, print, printJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { array, object } from '../../schema.js'
import { dryRun, volume } from '../../shapes.js'
import { verb } from '../../verb.js'
import { describeVolume } from '../../volume.js'

export default verb({
  summary: 'move volumes to where they have fewer segments, safe against power cuts',
  arguments: [diskArgument],
  options: dryRunOption,
  json: object({ moved: array(volume), dryRun }),
  examples: ['ddi-attach volume defragment disk.raw', 'ddi-attach volume defragment disk.raw --dry-run'],
  async run([path], { json, dryRun }) {
    await using disk = await openDisk(path, { dryRun })
    const bar = await progressBar('moving')
    const work = { signal: untilInterrupted(), onProgress: bar.update }
    const moved = await disk.defragment(work).finally(() => bar.stop())
    if (json !== 'off') return printJson({ moved: moved.map(describeVolume), dryRun }, json)
    for (const { label, uuid, extents } of moved)
      print(`${printable(label || uuid!)}: ${dryRun ? 'would be' : 'now'} in ${counted(extents.length, 'segment')}`)
    if (!dryRun) return
    if (moved.length === 0) print('no volume would have fewer segments elsewhere')
    await printChangedDisk(disk)
  },
})
