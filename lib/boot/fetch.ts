import { exists } from '../bytes/exists.js'
import { DdiError } from '../errors.js'
import { parseAddress } from '../pull/address.js'
import { openTransport } from '../pull/open-transport.js'
import { type PullOptions, settingsOf } from '../pull/options.js'
import type { Pulled } from '../pull/pull.js'
import type { Transport } from '../pull/transport.js'
import type { Progress } from '../work.js'
import { patiently } from './patience.js'
import type { WantedRequest } from './requests.js'
import { type Check, pullTrusted } from './trusted-pull.js'

/** How images are fetched: as `pull` does, and with what else a boot needs. */
export interface FetchOptions extends Omit<PullOptions, 'verify'> {
  /** Seconds for which a server that is away is waited for; may be Infinity. Default: 0 */
  readonly retry?: number
  /** Called with what people should know, a line each: what is pulled from where, what is skipped, what nothing vouches for. */
  readonly onNote?: (text: string) => void
}

/** Where an image is now. */
export type Fetched =
  | { readonly state: 'pulled'; readonly pulled: Pulled; readonly url: URL }
  /** It was here already: nobody was asked. */
  | { readonly state: 'present' }

/** Fetches an image, unless it is here. @param check that it has to pass @throws what `pull` and `check` throw */
export async function fetchImage(one: WantedRequest, options: FetchOptions, check?: Check): Promise<Fetched> {
  const { request, path } = one
  if (await exists(path)) {
    await check?.({ path })
    return { state: 'present' }
  }
  const { kind, readOnly } = request
  const { result: pulled, url } = await fetchTo(one, options, (from, pulling) =>
    pullTrusted(from, { kind, path, readOnly }, pulling, check),
  )
  return { state: 'pulled', pulled, url }
}

/** Fetches an image to wherever `take` puts it, from the first of its places that has it. @throws what `take` throws */
export async function fetchTo<Result>(
  { request: { verify }, name, candidates }: WantedRequest,
  options: FetchOptions,
  take: (url: URL, pulling: PullOptions) => Promise<Result>,
): Promise<{ readonly result: Result; readonly url: URL }> {
  return await waiting(name, options, async (pulling) => {
    const url = await firstThat(candidates, pulling)
    options.onNote?.(`pulling ${parseAddress(url).url}`)
    return { result: await take(url, { ...pulling, verify }), url }
  })
}

/**
 * Tries again while a server is away, as long as was asked for.
 * @param part what comes, as progress names it
 * @param attempt gets the options of pulls; it calls `onProgress` when something comes
 * @throws as `patiently`
 */
export async function waiting<Result>(
  part: string,
  { retry = 0, onNote, ...pulling }: FetchOptions,
  attempt: (pulling: PullOptions) => Promise<Result>,
): Promise<Result> {
  const { signal } = pulling
  const onFailure = (error: DdiError) => onNote?.(`${error.message}; trying again`)
  return await patiently({ longest: retry, onFailure, signal }, async (progressed) => {
    const onProgress = (progress: Progress) => {
      progressed()
      pulling.onProgress?.({ ...progress, part })
    }
    return await attempt({ ...pulling, onProgress })
  })
}

/** The first URL that the server has, if there is a choice. @throws ERR_DDI_PULL_NOT_FOUND, and what asking throws */
async function firstThat(candidates: readonly URL[], options: PullOptions): Promise<URL> {
  if (candidates.length === 1) return candidates[0]!
  for (const candidate of candidates) {
    await using server = await openServer(candidate, options)
    if (await server.transport.has(server.url)) return candidate
  }
  const names = candidates.map((url) => parseAddress(url).url)
  throw new DdiError('ERR_DDI_PULL_NOT_FOUND', `the server has none of ${names.join(', ')}`)
}

/** The server of a URL, which may have a name and password for it. */
export async function openServer(
  of: URL,
  options: PullOptions,
): Promise<AsyncDisposable & { readonly transport: Transport; readonly url: URL }> {
  const { url, ...own } = parseAddress(of)
  const transport = await openTransport({ ...settingsOf(options), ...own })
  return { transport, url, [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose]() }
}
