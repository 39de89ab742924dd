import { diskArgument } from '../../disk-arguments.js'
import { image } from '../../shapes.js'
import { imageArgument } from '../../store.js'
import { forceLastGood, markImage } from '../../store-mark.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'never boot an image, until it is on again',
  arguments: [diskArgument, imageArgument],
  options: { force: forceLastGood },
  json: image,
  examples: ['ddi-attach store off /dev/sda acme_1.4'],
  run: (given, options) => markImage(given, 'off', options),
})
