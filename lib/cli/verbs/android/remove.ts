import { formatSize, print, printJson } from '../../output.js'
import { object } from '../../schema.js'
import { dryRun, logicalPartition } from '../../shapes.js'
import { describeLogical, logicalArgument, openSuperWith, superArgument, superChangeOptions } from '../../super.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'remove a logical partition',
  arguments: [superArgument, logicalArgument],
  options: superChangeOptions,
  json: object({ removed: logicalPartition, dryRun }),
  examples: ['ddi-attach android remove super.img product_b'],
  asks: ([path, name]) => `Remove the logical partition ${name} of ${path}, with all that it holds?`,
  async run([path, name], options) {
    await using opened = await openSuperWith(path, options)
    const partition = opened.find(name)
    const removed = describeLogical(opened, partition.label!)
    await opened.remove(partition)
    const { json, dryRun } = options
    if (json !== 'off') printJson({ removed, dryRun }, json)
    else if (dryRun) print(`${name}: would be removed, ${formatSize(partition.size)}`)
  },
})
