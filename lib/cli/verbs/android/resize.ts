import { parseNewSize } from '../../../size.js'
import { changedPartition } from '../../shapes.js'
import { changeSuper, logicalArgument, superArgument, superChangeOptions } from '../../super.js'
import { newSize } from '../../values.js'
import { flag, requiredOption, verb } from '../../verb.js'

export default verb({
  summary: 'give a logical partition another size',
  arguments: [superArgument, logicalArgument],
  options: {
    size: requiredOption('--size <size>', 'new size, or +1G, or -1G', newSize),
    force: flag('--force', 'cut off even what the partition holds'),
    ...superChangeOptions,
  },
  json: changedPartition,
  examples: ['ddi-attach android resize super.img system_a --size +256M'],
  asks: ([path, name], { force }) => (force ? `Give ${name} of ${path} that size, whatever is cut off?` : undefined),
  async run([path, name], options) {
    const { size, force } = options
    await changeSuper(path, options, async (one) => {
      const partition = one.find(name)
      const requested = parseNewSize(size, partition.size)
      return { partition: await one.resize(partition, requested, { force }), requested }
    })
  },
})
