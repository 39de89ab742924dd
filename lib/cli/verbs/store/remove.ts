import { openStore } from '../../../store/store.js'
import { printable } from '../../../text.js'
import { diskArgument } from '../../disk-arguments.js'
import { printChangedDisk } from '../../disk-change.js'
import { dryRunOption } from '../../dry-run.js'
import { formatSize, print, printJson } from '../../output.js'
import { object } from '../../schema.js'
import { dryRun, image } from '../../shapes.js'
import { describeImage, imageArgument } from '../../store.js'
import { forceLastGood } from '../../store-mark.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'remove an image that neither runs nor is attached',
  arguments: [diskArgument, imageArgument],
  options: { force: forceLastGood, ...dryRunOption },
  json: object({ removed: image, dryRun }),
  examples: ['ddi-attach store remove /dev/sda acme_1.2'],
  asks: ([path, name]) => `Remove the image ${name} from ${path}?`,
  async run([path, name], { force, json, dryRun }) {
    await using store = await openStore(path, { dryRun })
    const image = store.find(name)
    await store.remove(image, { force })
    if (json !== 'off') return printJson({ removed: describeImage(image), dryRun }, json)
    if (!dryRun) return
    print(`${printable(image.label)}: would be removed, ${formatSize(image.volume.size)}`)
    await printChangedDisk(store.disk)
  },
})
