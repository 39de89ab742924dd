import { openStore } from '../../../store/store.js'
import { diskArgument } from '../../disk-arguments.js'
import { printJson } from '../../output.js'
import { object } from '../../schema.js'
import { image } from '../../shapes.js'
import { describeImage, imageArgument } from '../../store.js'
import { forceLastGood } from '../../store-mark.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'remove an image that neither runs nor is attached',
  arguments: [diskArgument, imageArgument],
  options: { force: forceLastGood },
  json: object({ removed: image }),
  examples: ['ddi-attach store remove /dev/sda acme_1.2'],
  asks: ([path, name]) => `Remove the image ${name} from ${path}?`,
  async run([path, name], { force, json }) {
    await using store = await openStore(path)
    const image = store.find(name)
    await store.remove(image, { force })
    if (json !== 'off') printJson({ removed: describeImage(image) }, json)
  },
})
