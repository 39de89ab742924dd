import { diskArgument } from '../../disk-arguments.js'
import { dryRunOption } from '../../dry-run.js'
import { imageArgument } from '../../store.js'
import { forceLastGood, markedImage, markImage } from '../../store-mark.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'say that an image does not work: it is not booted again',
  arguments: [diskArgument, imageArgument],
  options: { force: forceLastGood, ...dryRunOption },
  json: markedImage,
  examples: ['ddi-attach store bad /dev/sda acme_1.4'],
  run: (given, options) => markImage(given, 'bad', options),
})
