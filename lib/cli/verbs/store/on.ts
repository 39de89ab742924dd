import { diskArgument } from '../../disk-arguments.js'
import { dryRunOption } from '../../dry-run.js'
import { imageArgument } from '../../store.js'
import { markedImage, markImage } from '../../store-mark.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'let an image that is off, or was preferred, be booted as others are',
  arguments: [diskArgument, imageArgument],
  options: dryRunOption,
  json: markedImage,
  examples: ['ddi-attach store on /dev/sda acme_1.4'],
  run: (given, options) => markImage(given, 'on', options),
})
