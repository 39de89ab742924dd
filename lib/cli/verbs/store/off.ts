import { diskArgument } from '../../disk-arguments.js'
import { dryRunOption } from '../../dry-run.js'
import { imageArgument } from '../../store.js'
import { forceLastGood, markedImage, markImage } from '../../store-mark.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'never boot an image, until it is on again',
  arguments: [diskArgument, imageArgument],
  options: { force: forceLastGood, ...dryRunOption },
  json: markedImage,
  examples: ['ddi-attach store off /dev/sda acme_1.4'],
  run: (given, options) => markImage(given, 'off', options),
})
