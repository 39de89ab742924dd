import { expand } from '../../../android/sparse.js'
import { readSuper } from '../../../android/super.js'
import { extentSource } from '../../../bytes/extents.js'
import { openFile } from '../../../bytes/file.js'
import { findSuper } from '../../../disk/super.js'
import { json } from '../../options.js'
import { note, printJson } from '../../output.js'
import { describeMetadata, printSuper, superArgument, superOptions } from '../../super.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'show the partitions, groups, devices and layout of a super partition, as lpdump does',
  arguments: [superArgument],
  options: { ...superOptions, ...json },
  examples: ['ddi-attach android dump super.img', 'ddi-attach android dump super.img --slot b --json=pretty'],
  async run([path], { json, slot, volume }) {
    await using file = await openFile(path)
    const { source } = await expand(file)
    const found = await readSuper(extentSource(source, await findSuper(source, path, volume)), slot)
    for (const { message } of found.problems) note(message)
    if (json === 'off') return await printSuper(path, found)
    const { geometry, metadata, copy } = found
    const problems = found.problems.map(({ code, message }) => ({ code, message }))
    const { flags } = metadata
    printJson({ image: path, slot, copy, geometry, ...describeMetadata(found), problems, flags }, json)
  },
})
