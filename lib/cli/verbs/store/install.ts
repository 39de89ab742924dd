import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Installed, installImage } from '../../../store/install.js'
import { defaultTries, mostTries } from '../../../store/state.js'
import { openStore } from '../../../store/store.js'
import { printable } from '../../../text.js'
import { choice } from '../../choice.js'
import { diskArgument } from '../../disk-arguments.js'
import { dryRunOption } from '../../dry-run.js'
import { given } from '../../given.js'
import { certificatesOf } from '../../options.js'
import { counted, formatSize, print, printJson } from '../../output.js'
import { downloadProgress } from '../../progress.js'
import { pullWork } from '../../pull-options.js'
import { array, object } from '../../schema.js'
import { dryRun, image, receivedFields } from '../../shapes.js'
import { describeImage } from '../../store.js'
import { localOrSigned, storePullOptions } from '../../store-pull.js'
import { rootHash, text, wholeNumber } from '../../values.js'
import { argument, option, verb } from '../../verb.js'

export default verb({
  summary: 'install an image; it has a name when all of it is verified and on the disk, and old ones make room for it',
  arguments: [
    diskArgument,
    argument(
      '<image>',
      'URL (http, https, file) or path, plain or packed by xz, gzip, bzip2, zstd, lz4 or lzma; - is standard input',
    ),
  ],
  options: {
    product: option('--product <name>', 'default: what the name of the file says, PRODUCT_VERSION.raw', text),
    version: option('--version <version>', 'default: the same', text),
    tries: option(
      '--tries <count>',
      `how many boots it gets to become good, 1 to ${mostTries}`,
      wholeNumber(1, mostTries),
      `${defaultTries}`,
    ),
    rootHash: option('--root-hash <hex>', 'root hash that the image must have', rootHash),
    progress: option('--progress <how>', 'json: print events on standard error, one a line', choice('json')),
    ...dryRunOption,
    ...storePullOptions,
  },
  json: object({ ...receivedFields, image, removed: array(image), dryRun }),
  examples: [
    'ddi-attach store install /dev/sda https://example.com/acme_1.4.raw.xz',
    'ddi-attach store install disk.raw acme_1.4.raw --tries 5',
    'ddi-attach store install disk.raw acme_1.4.raw --dry-run',
    'curl https://example.com/latest | ddi-attach store install /dev/sda - --product acme --version 1.4',
  ],
  async run([path, image], options) {
    const from = image === '-' ? process.stdin : image.includes('://') ? image : pathToFileURL(resolve(image))
    const { product, version, tries, rootHash, dryRun, json } = options
    const address = typeof from === 'string' ? from : undefined
    const work = await pullWork(address, { ...options, verify: localOrSigned(options.verify, from) })
    await using store = await openStore(path, { dryRun })
    const progress = await downloadProgress(options.progress === 'json')
    const trust = given({ rootHash, certificates: await certificatesOf(options.certificate) })
    const installed = await installImage(store, from, {
      ...work,
      ...trust,
      ...given({ product, version }),
      tries,
      onProgress: progress.update,
    }).finally(() => progress.stop())
    if (json !== 'off') printJson({ ...describe(installed), dryRun }, json)
    else print(summary(installed, dryRun))
  },
})

function describe({ image, removed, ...rest }: Installed) {
  return { ...rest, image: describeImage(image), removed: removed.map(describeImage) }
}

function summary({ image, removed, sha256 }: Installed, dryRun: boolean): string {
  const { label, volume } = image
  const gone =
    removed.length > 0 ? `; ${dryRun ? 'would remove' : 'removed'} ${removed.map((one) => one.label).join(', ')}` : ''
  const hash = sha256 === null ? '' : `, SHA-256 ${sha256}`
  return printable(
    `${label}: ${dryRun ? 'would have ' : ''}${formatSize(volume.size)} in ${counted(volume.extents.length, 'segment')}${hash}${gone}`,
  )
}
