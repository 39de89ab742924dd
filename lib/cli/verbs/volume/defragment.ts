import { openDisk } from '../../../attach/disk.js'
import { printable } from '../../../text.js'
import { diskArgument } from '../../disk-change.js'
import { describeExtents, segmentCount } from '../../extents.js'
import { untilInterrupted } from '../../interrupt.js'
import { json } from '../../options.js'
import { print, printJson } from '../../output.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'move volumes to where they have fewer segments, safe against power cuts',
  arguments: [diskArgument],
  options: json,
  examples: ['ddi-attach volume defragment disk.raw'],
  async run([path], { json }) {
    await using disk = await openDisk(path)
    const moved = await disk.defragment({ signal: untilInterrupted() })
    if (json !== 'off')
      printJson({ moved: moved.map(({ uuid, extents }) => ({ uuid, extents: describeExtents(extents) })) }, json)
    else
      for (const { label, uuid, extents } of moved)
        print(`${printable(label || uuid!)}: now in ${segmentCount(extents.length)}`)
  },
})
