import { DdiError } from '../../../errors.js'
import { findStores } from '../../../store/disks.js'
import { runningImage } from '../../../store/running.js'
import { image } from '../../shapes.js'
import { markImage } from '../../store-mark.js'
import { argument, verb } from '../../verb.js'

export default verb({
  summary: 'say that an image works: it needs no more tries, and the newest good one is never removed',
  arguments: [
    argument('[disk]', 'disk image or block device (default: where the running image lies)'),
    argument('[image]', 'label, UUID or partition number of the image (default: the one that runs)'),
  ],
  options: {},
  json: image,
  examples: ['ddi-attach store good', 'ddi-attach store good /dev/sda acme_1.4'],
  async run([disk, image], options) {
    const running = image ?? (await requireRunning())
    await markImage([disk ?? (await diskOf(running)), running], 'good', options)
  },
})

async function requireRunning(): Promise<string> {
  const running = await runningImage()
  if (running !== undefined) return running
  throw new DdiError(
    'ERR_DDI_NO_VOLUME',
    'this machine did not boot an image of a store: /run/ddi/booted does not name one; name the disk and the image',
  )
}

async function diskOf(uuid: string): Promise<string> {
  const found = (await findStores()).find(({ images }) => images.some((image) => image.uuid === uuid))
  if (found) return found.path
  throw new DdiError('ERR_DDI_NO_VOLUME', `no disk of this machine has the running image, ${uuid}`)
}
