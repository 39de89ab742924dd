import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { openFile } from '../bytes/file.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { type Address, parseAddress } from '../pull/address.js'
import { detectCompression, headLength as formatLength, refuseForeign } from '../pull/formats.js'
import { localPath, statLocal } from '../pull/local.js'
import { imageStem } from '../pull/names.js'
import { type PullOptions, pullOptionNames, type Settings, settingsOf } from '../pull/options.js'
import { isQcow2 } from '../pull/qcow2.js'
import { type Received, receive, receiveStream, requireSize } from '../pull/receive.js'
import { compareVersions } from '../version.js'
import { ImageDestination, type ImageTrust, layoutToStore, Tried, trustNames } from './destination.js'
import type { StoreImage } from './image.js'
import { headLength } from './layout.js'
import { formatLabel, type ImageName, parseLabel } from './names.js'
import { defaultTries, mostTries, newAttributes } from './state.js'
import type { Protection, Store } from './store.js'

/** Options of {@link installImage}. */
export interface InstallOptions extends PullOptions, ImageTrust {
  /** Default: what the name of the file says, `PRODUCT_VERSION.raw.xz`. */
  readonly product?: string
  readonly version?: string
  /** Versions of the product that make no room for it. */
  readonly protectVersions?: readonly string[]
  /** How many boots it gets to become good, 1 to 15. Default: 3. */
  readonly tries?: number
}
export const installOptionNames: OptionNames<InstallOptions> = {
  ...pullOptionNames,
  ...trustNames,
  product: true,
  version: true,
  tries: true,
  protectVersions: true,
}

/** An image that was installed in a store. */
export interface Installed extends Omit<Received, 'sha256' | 'compression'> {
  /** Of the file as it came, in hexadecimal; null if that was copied without being read here. */
  readonly sha256: string | null
  /** Null in a dry run. */
  readonly compression: Received['compression'] | null
  readonly image: StoreImage
  /** What was removed to make room. */
  readonly removed: readonly StoreImage[]
}

/**
 * Installs an image in a store: it has a name when all of it is verified and flushed, not before. In a dry run of the store, only the
 * beginning of the image is read: what the rest of it would be refused for is not told.
 * @param from the address of a file (http, https, file), or its bytes; plain, or packed by xz, gzip, bzip2, zstd, lz4 or lzma
 * @param options `verify` is by default signature for what comes from a server, else no
 * @throws ERR_DDI_STORE_NAME, ERR_DDI_VOLUME_EXISTS for a version that is there, ERR_DDI_NO_TABLE, ERR_DDI_NOTHING_TO_ATTACH for other
 *   processors, ERR_DDI_SIGNATURE_UNTRUSTED and what {@link dissect} throws, ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL, and as `pull`
 */
export async function installImage(
  store: Store,
  from: string | URL | Readable,
  options: InstallOptions = {},
): Promise<Installed> {
  checkOptions(options, installOptionNames, 'installImage')
  const { product, version, tries = defaultTries, protectVersions = [] } = options
  if (!Number.isInteger(tries) || tries < 1 || tries > mostTries)
    throw new DdiError('ERR_DDI_USAGE', `invalid number of tries ${tries}: 1 to ${mostTries}`)
  const address = typeof from === 'string' || from instanceof URL ? parseAddress(from) : undefined
  const name = nameOf(address, { product, version })
  const label = formatLabel(name)
  refuseSame(store.images, name, store.disk.path)
  refuseTaken(store, label)
  if (address) await refuseItself(address.url, store.disk.path)
  const isLocal = address === undefined || address.url.protocol === 'file:'
  const settings = settingsOf({ verify: isLocal ? 'no' : 'signature', ...pickOptions(options, pullOptionNames) })
  let removed: readonly StoreImage[] = []
  const uuid = randomUUID()
  await using destination = new ImageDestination({
    disk: store.disk,
    head: { label, uuid, attributes: newAttributes(tries) },
    trust: pickOptions(options, trustNames),
    makeRoom: async ({ size, dataEnd }) => {
      requireSize(address?.url ?? 'the stream', dataEnd, settings)
      removed = await store.makeRoom(size, isOneOf(name.product, protectVersions))
    },
  })
  const taken = address
    ? copyLocal(address.url, destination, settings).then((copied) => copied ?? receive(address, destination, settings))
    : receiveStream(from as Readable, destination, settings)
  const received = await taken.catch((error: unknown) => {
    if (!(error instanceof Tried)) throw error
    return { size: error.size, downloaded: 0, resumed: 0, sha256: null, compression: null }
  })
  return { image: store.find(uuid), removed, ...received }
}

/** Copies an image that lies on this machine as it is, and that nothing is to be verified by; undefined if it is not so. */
async function copyLocal(
  url: URL,
  destination: ImageDestination,
  { verify, maxSize, rateLimit, signal, onProgress }: Settings,
): Promise<Omit<Installed, 'image' | 'removed'> | undefined> {
  if (url.protocol !== 'file:' || verify !== 'no' || Number.isFinite(rateLimit)) return undefined
  await using file = await openFile(localPath(url))
  if (file.kind !== 'file' || file.size > maxSize) return undefined
  const head = await file.read(0, Math.min(file.size, formatLength))
  if (!isPlain(head)) return undefined
  refuseForeign(url, head)
  await destination.takeFile(file, { signal, onProgress })
  await destination.finish({ signal })
  return { size: file.size, downloaded: file.size, resumed: 0, sha256: null, compression: 'none' }
}

function isPlain(head: Uint8Array): boolean {
  return detectCompression(head) === 'none' && !isQcow2(head)
}

/**
 * Refuses images, before anything is written for them, for what can be told without downloading any: their names, and what lies on this
 * machine as it is.
 * @param where path of the disk that they are to come to
 * @throws as {@link installImage}
 */
export async function refuseImages(
  images: readonly (string | URL)[],
  where: string,
  trust: Pick<ImageTrust, 'architectures'>,
): Promise<void> {
  const names: ImageName[] = []
  for (const image of images) {
    const address = parseAddress(image)
    const name = nameOf(address, {})
    formatLabel(name)
    refuseSame(names, name, where)
    names.push(name)
    await refuseItself(address.url, where)
    if (address.url.protocol === 'file:') await refuseLocal(localPath(address.url), trust)
  }
}

async function refuseLocal(path: string, trust: Pick<ImageTrust, 'architectures'>): Promise<void> {
  await using file = await openFile(path)
  await statLocal(path)
  const head = await file.read(0, Math.min(file.size, headLength))
  if (isPlain(head)) await layoutToStore(head, file.size, trust)
}

/** Whether an image is of a product, and of one of these versions, however they are spelt. */
export function isOneOf(product: string, versions: readonly string[]): Protection {
  return (image) => image.product === product && versions.some((one) => compareVersions(one, image.version) === 0)
}

/** @throws ERR_DDI_STORE_NAME */
function nameOf(
  address: Address | undefined,
  given: { readonly product?: string | undefined; readonly version?: string | undefined },
): ImageName {
  const { product, version } = given
  if (product !== undefined && version !== undefined) return { product, version }
  const stem = address && imageStem(address.url)
  const parsed = stem === undefined ? undefined : parseLabel(stem)
  if (!parsed)
    throw new DdiError(
      'ERR_DDI_STORE_NAME',
      `${stem === undefined ? 'a stream has no name' : `${JSON.stringify(stem)} is not PRODUCT_VERSION`}: give the product and the version of the image`,
    )
  return { product: product ?? parsed.product, version: version ?? parsed.version }
}

/** What is read would change with what is written. @throws ERR_DDI_USAGE */
async function refuseItself(url: URL, disk: string): Promise<void> {
  if (url.protocol !== 'file:') return
  const paths = [localPath(url), disk]
  const [image, own] = await Promise.all(paths.map((path) => stat(path, { bigint: true }).catch(() => undefined)))
  if (image && own && image.dev === own.dev && image.ino === own.ino)
    throw new DdiError('ERR_DDI_USAGE', `${disk} cannot be an image on itself: name another file`)
}

/** What is no image, or not whole, may have the label too. @throws ERR_DDI_VOLUME_EXISTS */
function refuseTaken({ disk }: Store, label: string): void {
  if (disk.volumes.some((one) => one.label === label))
    throw new DdiError(
      'ERR_DDI_VOLUME_EXISTS',
      `${disk.path} has a volume labelled ${label} that is no image, or is broken: rename or remove it`,
    )
}

/** Two spellings of one version are one version. @throws ERR_DDI_VOLUME_EXISTS */
function refuseSame(images: readonly ImageName[], { product, version }: ImageName, where: string): void {
  const same = images.find((one) => one.product === product && compareVersions(one.version, version) === 0)
  if (same)
    throw new DdiError('ERR_DDI_VOLUME_EXISTS', `${where} has this version of ${product} already: ${formatLabel(same)}`)
}
