import { openStore } from '../../../store/store.js'
import { diskArgument } from '../../disk-change.js'
import { imageArgument } from '../../store.js'
import { forceLastGood } from '../../store-mark.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'remove an image that neither runs nor is attached',
  arguments: [diskArgument, imageArgument],
  options: { force: forceLastGood },
  examples: ['ddi-attach store remove /dev/sda acme_1.2'],
  async run([path, name], options) {
    await using store = await openStore(path)
    await store.remove(store.find(name), options)
  },
})
