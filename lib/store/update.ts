import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DdiError, systemError } from '../errors.js'
import { trustedCertificates } from '../image/certificates.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { parseAddress } from '../pull/address.js'
import { checksumRows } from '../pull/checksum-list.js'
import { readChecksumList } from '../pull/checksums.js'
import { openTransport } from '../pull/open-transport.js'
import { type PullOptions, pullOptionNames, settingsOf } from '../pull/options.js'
import { compareVersions } from '../version.js'
import { type ImageTrust, trustNames } from './destination.js'
import type { StoreImage } from './image.js'
import { type Installed, installImage, isOneOf } from './install.js'
import { readListing } from './listing.js'
import { parseLabel } from './names.js'
import type { Store } from './store.js'
import type { Transfer } from './transfer.js'

/** A version that a source offers. */
export interface Available {
  readonly version: string
  readonly url: URL
  /** From the list of checksums; null for a folder of this machine, and where a server has no such list. */
  readonly sha256: string | null
}

/** Options of {@link availableUpdate} and {@link installUpdate}. */
export interface UpdateOptions extends Omit<PullOptions, 'verify'>, ImageTrust {
  /** How many boots a new image gets to become good, 1 to 15. Default: 3. */
  readonly tries?: number
}
const { verify: _verify, ...pullNames } = pullOptionNames
const updateOptionNames: OptionNames<UpdateOptions> = { ...pullNames, ...trustNames, tries: true }

/** An image that was installed as an update. */
export interface Updated extends Installed {
  /** What was removed because no more than so many are kept. */
  readonly trimmed: readonly StoreImage[]
}

/**
 * The newest version that a source offers, if it is newer than all of its product that are there.
 * @param images that are there, of any product
 * @throws ERR_DDI_PULL_NO_CHECKSUM, ERR_DDI_PULL_SIGNATURE, ERR_DDI_PULL_KEYRING, and what reading the source throws
 */
export async function availableUpdate(
  images: readonly Pick<StoreImage, 'product' | 'version'>[],
  transfer: Transfer,
  options: UpdateOptions = {},
): Promise<Available | undefined> {
  checkOptions(options, updateOptionNames, 'availableUpdate')
  const { product, patterns, minVersion } = transfer
  const offered = (await filesOf(transfer, options)).flatMap(({ name, ...file }) => {
    const version = patterns.map(({ versionIn }) => versionIn(name)).find((one) => one !== undefined)
    const isImage = version !== undefined && parseLabel(`${product}_${version}`) !== undefined
    return isImage ? [{ version, ...file }] : []
  })
  const newest = offered
    .filter(({ version }) => minVersion === null || compareVersions(version, minVersion) >= 0)
    .reduce<Available | undefined>(
      (best, one) => (best && compareVersions(best.version, one.version) >= 0 ? best : one),
      undefined,
    )
  if (!newest) return undefined
  const isNewer = images.every((one) => one.product !== product || compareVersions(newest.version, one.version) > 0)
  return isNewer ? newest : undefined
}

/**
 * Installs what {@link availableUpdate} found, and removes what is too many then.
 * @throws as {@link installImage}
 */
export async function installUpdate(
  store: Store,
  transfer: Transfer,
  available: Available,
  options: UpdateOptions = {},
): Promise<Updated> {
  checkOptions(options, updateOptionNames, 'installUpdate')
  const { version, url, sha256 } = available
  const { product, protectVersions, instancesMax } = transfer
  const certificates = await requiredCertificates(transfer, options)
  const { type, path } = transfer.source
  const { url: _, ...own } = type === 'url-file' ? parseAddress(path) : { url }
  const installed = await installImage(store, url, {
    ...options,
    ...own,
    ...(certificates && { certificates }),
    product,
    version,
    protectVersions,
    verify: sha256 === null ? 'no' : { sha256 },
  })
  const trimmed =
    instancesMax === null
      ? []
      : await store.trim(product, instancesMax, isOneOf(product, [...protectVersions, version]))
  return { ...installed, trimmed }
}

/** Where nothing else vouches for an image, a certificate has to. @throws ERR_DDI_SIGNATURE_UNTRUSTED if there is none */
async function requiredCertificates({ source, verify }: Transfer, { certificates }: UpdateOptions) {
  if (source.listing === undefined || !verify) return certificates
  const trusted = certificates ?? (await trustedCertificates())
  if (trusted.length > 0) return trusted
  throw new DdiError(
    'ERR_DDI_SIGNATURE_UNTRUSTED',
    `a listing vouches for none of the images of ${source.path}: a certificate has to, and none is trusted here`,
  )
}

interface OfferedFile extends Omit<Available, 'version'> {
  readonly name: string
}

async function filesOf({ source, verify }: Transfer, options: UpdateOptions): Promise<readonly OfferedFile[]> {
  if (source.type === 'regular-file') return await filesIn(source.path)
  const { url: given, ...own } = parseAddress(source.path)
  const directory = given.pathname.endsWith('/')
    ? given
    : Object.assign(new URL(given), { pathname: `${given.pathname}/` })
  await using transport = await openTransport({ ...settingsOf(pickOptions(options, pullNames)), ...own })
  if (source.listing !== undefined)
    return (await readListing(transport, directory, source.listing)).map((file) => ({ ...file, sha256: null }))
  const list = new URL('SHA256SUMS', directory)
  const text = await readChecksumList(transport, list, verify ? 'signature' : 'checksum', options.keyring)
  if (text === undefined) throw new DdiError('ERR_DDI_PULL_NO_CHECKSUM', `there is no ${list}`)
  return checksumRows(text).map(({ name, hash }) => ({
    name: name.replace(/^\.\//, ''),
    sha256: hash,
    url: new URL(encodeURIComponent(name), directory),
  }))
}

async function filesIn(directory: string): Promise<readonly OfferedFile[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    throw systemError(error, `cannot read ${directory}`, { ENOENT: 'ERR_DDI_NOT_FOUND', ENOTDIR: 'ERR_DDI_NOT_FOUND' })
  })
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name }) => ({ name, sha256: null, url: pathToFileURL(join(directory, name)) }))
}
