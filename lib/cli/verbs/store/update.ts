import { DdiError } from '../../../errors.js'
import { findStores, readStore, storeOfProduct } from '../../../store/disks.js'
import { parsePattern, productIn } from '../../../store/pattern.js'
import { openStore } from '../../../store/store.js'
import { type ReadTransfer, readTransfers, type Transfer } from '../../../store/transfer.js'
import {
  type Available,
  availableUpdate,
  installUpdate,
  type Updated,
  type UpdateOptions,
} from '../../../store/update.js'
import { printable } from '../../../text.js'
import { choice } from '../../choice.js'
import { dryRunOption } from '../../dry-run.js'
import { nothingNew } from '../../exit.js'
import { given } from '../../given.js'
import { certificatesOf, imageOptions } from '../../options.js'
import { note, noteError, print, printJson } from '../../output.js'
import { downloadProgress } from '../../progress.js'
import { pullOptions, pullWork } from '../../pull-options.js'
import { array, nullable, object, string } from '../../schema.js'
import { dryRun, image, path } from '../../shapes.js'
import { describeImage } from '../../store.js'
import { text, wholeNumber } from '../../values.js'
import { argument, flag, option, type ValuesOf, verb } from '../../verb.js'

const { verify: _, ...transferPullOptions } = pullOptions
const updateOptions = {
  source: option('--source <url>', 'folder with SHA256SUMS and images: http, https or file', text),
  match: option('--match <pattern>', 'names of the images in it, @v being the version: acme_@v.raw.xz', text),
  listing: option(
    '--listing <form>',
    'how the source lists its files: SHA256SUMS, a page with links, or a bucket of S3',
    choice('checksums', 'html', 's3'),
    'checksums',
  ),
  verify: option(
    '--verify <how>',
    'signature: of the list of checksums, or without one of the image by a certificate; checksum: neither is signed',
    choice('signature', 'checksum'),
    'signature',
  ),
  keep: option(
    '--keep <count>',
    'most images of the product, 2 or more (default: as many as fit)',
    wholeNumber(2, 9999),
  ),
  check: flag('--check', `only say whether there is something to install: exit status 0, or ${nothingNew} if not`),
  ...dryRunOption,
  ...transferPullOptions,
  certificate: imageOptions.certificate,
}

type UpdateValues = ValuesOf<typeof updateOptions>

interface Result {
  readonly transfer: Transfer
  readonly disk: string
  readonly available: Available | undefined
  readonly updated: Updated | undefined
}

export default verb({
  summary: 'install the newest image that a source offers, if it is newer than all there',
  arguments: [
    argument('[disk]', 'disk image or block device (default: as sysupdate.d(5) says, whose target is a ddi-store)'),
  ],
  options: updateOptions,
  json: object({
    updates: array(
      object({
        product: string,
        disk: path,
        available: nullable(object({ version: string, url: string })),
        installed: nullable(image),
        removed: array(image),
      }),
    ),
    dryRun,
  }),
  examples: [
    "ddi-attach store update /dev/sda --source https://example.com/images --match 'acme_@v.raw.xz' --keep 3",
    "ddi-attach store update /dev/sda --source https://bucket.s3.amazonaws.com/acme/ --listing=s3 --match 'acme_@v.raw'",
    'ddi-attach store update --check',
  ],
  async run([disk], options) {
    const transfers = await transfersOf(disk, options)
    const results: Result[] = []
    const failed: DdiError[] = []
    for (const transfer of transfers)
      try {
        results.push(await update(transfer, options))
      } catch (error) {
        // A server that is away keeps no other product from being updated.
        if (!(error instanceof DdiError) || error.code === 'ERR_DDI_ABORTED') throw error
        failed.push(error)
      }
    const { dryRun, json } = options
    if (json === 'off') for (const result of results) print(printable(summary(result, dryRun)))
    else if (results.length > 0) printJson({ updates: results.map(describe), dryRun }, json)
    for (const { message, code } of failed.slice(0, -1)) noteError(`${message} (${code})`)
    if (failed.length > 0) throw failed.at(-1)
    if (options.check && results.every(({ available }) => available === undefined)) process.exitCode = nothingNew
  },
})

/** What the options say, or the definitions of this machine. */
async function transfersOf(disk: string | undefined, options: UpdateValues): Promise<readonly Transfer[]> {
  const { source, match, keep, verify, listing } = options
  if (disk === undefined && source === undefined && match === undefined) {
    if (keep !== undefined || verify !== 'signature' || listing !== 'checksums')
      throw new DdiError(
        'ERR_DDI_USAGE',
        '--keep, --verify and --listing go with --source: definitions say InstancesMax= and Verify=',
      )
    return await configured()
  }
  if (disk === undefined || source === undefined || match === undefined)
    throw new DdiError('ERR_DDI_USAGE', 'give a disk, --source and --match, or none of them')
  const pattern = parsePattern(match)
  const product = productIn(pattern)
  if (product === undefined) throw new DdiError('ERR_DDI_USAGE', '--match has to begin with the product: PRODUCT_@v')
  return [
    {
      product,
      source: { type: 'url-file', path: source, ...(listing !== 'checksums' && { listing }) },
      patterns: [pattern],
      minVersion: null,
      protectVersions: [],
      verify: verify === 'signature',
      disk,
      instancesMax: keep ?? null,
    },
  ]
}

async function configured(): Promise<readonly ReadTransfer[]> {
  const transfers = await readTransfers()
  if (transfers.length === 0)
    throw new DdiError(
      'ERR_DDI_USAGE',
      'no definition in sysupdate.d has [Target] Type=ddi-store: give a disk and a source',
    )
  for (const { path, ignored } of transfers)
    for (const name of ignored) note(`${path}: ${name} has no effect on a store`)
  return transfers
}

async function update(transfer: Transfer, options: UpdateValues): Promise<Result> {
  const disk = transfer.disk ?? storeOfProduct(await findStores(), transfer.product).path
  const { verify: _, ...work } = await pullWork(transfer.source.path, { ...options, verify: 'no' })
  const certificates = await certificatesOf(options.certificate)
  const settings: UpdateOptions = { ...work, ...given({ certificates }) }
  const available = await availableUpdate((await readStore(disk)).images, transfer, settings)
  const updated =
    available && !options.check
      ? await install(disk, transfer, available, { ...settings, dryRun: options.dryRun })
      : undefined
  return { transfer, disk, available, updated }
}

async function install(
  disk: string,
  transfer: Transfer,
  available: Available,
  { dryRun, ...settings }: UpdateOptions & { readonly dryRun: boolean },
): Promise<Updated> {
  await using store = await openStore(disk, { dryRun })
  const progress = await downloadProgress(false)
  const work = { ...settings, onProgress: progress.update }
  return await installUpdate(store, transfer, available, work).finally(() => progress.stop())
}

function describe({ transfer, disk, available, updated }: Result) {
  return {
    product: transfer.product,
    disk,
    available: available ? { version: available.version, url: available.url.href } : null,
    installed: updated ? describeImage(updated.image) : null,
    removed: updated ? [...updated.removed, ...updated.trimmed].map(describeImage) : [],
  }
}

function summary({ transfer, disk, available, updated }: Result, dryRun: boolean): string {
  if (!available) return `${transfer.product}: nothing newer than what is on ${disk}`
  if (!updated) return `${transfer.product}: ${available.version} is newer than what is on ${disk}`
  const gone = [...updated.removed, ...updated.trimmed].map(({ label }) => label)
  const [installed, removed] = dryRun ? ['would be installed', 'would remove'] : ['installed', 'removed']
  return `${updated.image.label}: ${installed} on ${disk}${gone.length > 0 ? `; ${removed} ${gone.join(', ')}` : ''}`
}
