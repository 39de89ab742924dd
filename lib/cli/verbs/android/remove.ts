import { logicalArgument, openSuperWith, superArgument, superChangeOptions } from '../../super.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'remove a logical partition',
  arguments: [superArgument, logicalArgument],
  options: superChangeOptions,
  examples: ['ddi-attach android remove super.img product_b'],
  async run([path, name], options) {
    await using opened = await openSuperWith(path, options)
    await opened.remove(opened.find(name))
  },
})
