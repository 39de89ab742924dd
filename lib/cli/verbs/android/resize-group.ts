import { formatSize, print, printJson } from '../../output.js'
import { object } from '../../schema.js'
import { dryRun, groupFields } from '../../shapes.js'
import { openSuperWith, superArgument, superChangeOptions } from '../../super.js'
import { sizeOrZero } from '../../values.js'
import { argument, requiredOption, verb } from '../../verb.js'

export default verb({
  summary: 'give a group of logical partitions another limit',
  arguments: [superArgument, argument('<group>', 'name of the group')],
  options: {
    size: requiredOption(
      '--size <size>',
      'what its partitions may take together, such as 4G; 0 for no limit',
      sizeOrZero,
    ),
    ...superChangeOptions,
  },
  json: object({ ...groupFields, dryRun }),
  examples: ['ddi-attach android resize-group super.img main --size 6G --all-slots'],
  async run([path, name], options) {
    await using opened = await openSuperWith(path, options)
    await opened.resizeGroup(name, options.size)
    const { json, dryRun, size } = options
    if (json !== 'off') printJson({ name, maximumSize: size, dryRun }, json)
    else print(`${name}: ${dryRun ? 'would have ' : ''}${size === 0 ? 'no limit' : `at most ${formatSize(size)}`}`)
  },
})
