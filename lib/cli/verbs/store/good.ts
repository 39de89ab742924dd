import { realpath } from 'node:fs/promises'
import { list } from '../../../attach/list.js'
import { DdiError } from '../../../errors.js'
import { findStores } from '../../../store/disks.js'
import { runningImage } from '../../../store/running.js'
import { dryRunOption } from '../../dry-run.js'
import { suggesting } from '../../parser.js'
import { markedImage, markImage } from '../../store-mark.js'
import { argument, verb } from '../../verb.js'

export default verb({
  summary: 'say that an image works: it needs no more tries, and the newest good one is never removed',
  arguments: [
    argument('[disk]', 'disk image or block device (default: where the running image lies)'),
    argument(
      '[image]',
      'label, UUID or partition number of the image (default: the one that runs)',
      suggesting('images'),
    ),
  ],
  options: dryRunOption,
  json: markedImage,
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

/** The disk of the running image: where copies of it lie on others, the one that is attached. */
async function diskOf(uuid: string): Promise<string> {
  const having = (await findStores()).filter(({ images }) => images.some((image) => image.uuid === uuid))
  const paths = having.map(({ path }) => path)
  const images = paths.length > 1 ? (await list()).flatMap(({ image }) => image ?? []) : paths
  // One disk may have several names.
  const attached = await Promise.all(images.map((one) => realpath(one).catch(() => one)))
  const [path, second] = paths.filter((one) => attached.includes(one))
  if (path !== undefined && second === undefined) return path
  if (paths.length === 0)
    throw new DdiError('ERR_DDI_NO_VOLUME', `no disk of this machine has the running image, ${uuid}`)
  throw new DdiError(
    'ERR_DDI_STORE_AMBIGUOUS',
    `the running image, ${uuid}, lies on ${paths.join(', ')}: name the disk`,
  )
}
