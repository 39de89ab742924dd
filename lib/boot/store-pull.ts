import { exists } from '../bytes/exists.js'
import { DdiError } from '../errors.js'
import { pickOptions } from '../options.js'
import { imageStem } from '../pull/names.js'
import { trustNames } from '../store/destination.js'
import type { StoreImage } from '../store/image.js'
import { installImage } from '../store/install.js'
import { parseLabel } from '../store/names.js'
import { openStore } from '../store/store.js'
import { type FetchOptions, fetchTo } from './fetch.js'
import type { WantedRequest } from './requests.js'
import { dissectOptionsOf, type Trust } from './trust.js'

/** The disk that an image is to come to, and the product whose images boot from it. */
export interface StoreSpace {
  readonly path: string
  readonly product: string
}

/** An image that is in a store now. */
export interface StoredPull {
  readonly state: 'installed'
  readonly place: { readonly path: string; readonly stored: StoreImage }
  readonly url: URL
  /** Of the file as it came, in hexadecimal; null if that was copied without being read here. */
  readonly sha256: string | null
}

/** Why an image is kept in memory instead: the store has no room for it, has it already, cannot be written, or cannot name it. */
const unfit: readonly string[] = [
  ...['ERR_DDI_NO_SPACE', 'ERR_DDI_TABLE_FULL', 'ERR_DDI_VOLUME_EXISTS', 'ERR_DDI_STORE_NAME'],
  ...['ERR_DDI_BUSY', 'ERR_DDI_PERMISSION', 'ERR_DDI_IO'],
]

/**
 * Pulls the root image into a store: all of it is verified there before it has a name.
 * @returns undefined if it cannot be kept there, which is said, or is on this machine already
 * @throws as `installImage`
 */
export async function pullIntoStore(
  { path, product }: StoreSpace,
  one: WantedRequest,
  trust: Trust,
  options: FetchOptions,
): Promise<StoredPull | undefined> {
  if (one.request.kind !== 'raw' || (await exists(one.path))) return undefined
  // The rest is held against it when it boots.
  const own = pickOptions(dissectOptionsOf(trust, undefined), trustNames)
  try {
    await using store = await openStore(path)
    const { result, url } = await fetchTo(one, options, async (from, pulling) => {
      const { version } = imageOf(product, from)
      return await installImage(store, from, { ...pulling, ...own, product, version })
    })
    const { image: stored, removed, sha256 } = result
    for (const { label } of removed) options.onNote?.(`removed ${label} from ${path}, to make room`)
    return { state: 'installed', place: { path, stored }, url, sha256 }
  } catch (error) {
    if (!(error instanceof DdiError && unfit.includes(error.code))) throw error
    options.onNote?.(`${one.name} stays in memory: ${error.message} (${error.code})`)
    return undefined
  }
}

/** @throws ERR_DDI_STORE_NAME if that is no image of the product */
function imageOf(product: string, url: URL) {
  const name = parseLabel(imageStem(url))
  if (name?.product === product) return name
  throw new DdiError(
    'ERR_DDI_STORE_NAME',
    `${url} is not named ${product}_VERSION, so that the store could not name it`,
  )
}
