import { diskArgument } from '../../disk-arguments.js'
import { dryRunOption } from '../../dry-run.js'
import { imageArgument } from '../../store.js'
import { markedImage, markImage } from '../../store-mark.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'never remove an image to make room for others',
  arguments: [diskArgument, imageArgument],
  options: dryRunOption,
  json: markedImage,
  examples: ['ddi-attach store keep /dev/sda acme_1.4'],
  run: (given, options) => markImage(given, 'keep', options),
})
