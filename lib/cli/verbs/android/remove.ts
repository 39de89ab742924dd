import { printJson } from '../../output.js'
import { object } from '../../schema.js'
import { logicalPartition } from '../../shapes.js'
import { describeLogical, logicalArgument, openSuperWith, superArgument, superChangeOptions } from '../../super.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'remove a logical partition',
  arguments: [superArgument, logicalArgument],
  options: superChangeOptions,
  json: object({ removed: logicalPartition }),
  examples: ['ddi-attach android remove super.img product_b'],
  asks: ([path, name]) => `Remove the logical partition ${name} of ${path}, with all that it holds?`,
  async run([path, name], options) {
    await using opened = await openSuperWith(path, options)
    const partition = opened.find(name)
    const removed = describeLogical(opened, partition.label!)
    await opened.remove(partition)
    if (options.json !== 'off') printJson({ removed }, options.json)
  },
})
