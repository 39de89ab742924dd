import { openDisk } from '../../../attach/disk.js'
import { printable } from '../../../text.js'
import { diskArgument } from '../../disk-arguments.js'
import { segmentCount } from '../../extents.js'
import { untilInterrupted } from '../../interrupt.js'
import { print, printJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { array, object } from '../../schema.js'
import { volume } from '../../shapes.js'
import { verb } from '../../verb.js'
import { describeVolume } from '../../volume.js'

export default verb({
  summary: 'move volumes to where they have fewer segments, safe against power cuts',
  arguments: [diskArgument],
  options: {},
  json: object({ moved: array(volume) }),
  examples: ['ddi-attach volume defragment disk.raw'],
  async run([path], { json }) {
    await using disk = await openDisk(path)
    const bar = await progressBar('moving')
    const work = { signal: untilInterrupted(), onProgress: bar.update }
    const moved = await disk.defragment(work).finally(() => bar.stop())
    if (json !== 'off') printJson({ moved: moved.map(describeVolume) }, json)
    else
      for (const { label, uuid, extents } of moved)
        print(`${printable(label || uuid!)}: now in ${segmentCount(extents.length)}`)
  },
})
