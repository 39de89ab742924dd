import { diskArgument } from '../../disk-arguments.js'
import { dryRunOption } from '../../dry-run.js'
import { imageArgument } from '../../store.js'
import { markedImage, markImage } from '../../store-mark.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'let an image that was kept be removed to make room',
  arguments: [diskArgument, imageArgument],
  options: dryRunOption,
  json: markedImage,
  examples: ['ddi-attach store release /dev/sda acme_1.4'],
  run: (given, options) => markImage(given, 'release', options),
})
