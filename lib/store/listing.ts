import { DdiError } from '../errors.js'
import type { Transport } from '../pull/transport.js'

/** What a server that has no list of checksums lists its files in: a page with links, or an answer of S3’s ListObjectsV2. */
export type ListingForm = 'html' | 's3'

export interface ListedFile {
  readonly name: string
  readonly url: URL
}

const largestPage = 4 * 1024 * 1024
const mostPages = 100

/**
 * Reads which files a directory has. A listing vouches for nothing.
 * @param directory of HTML, the page; of S3, a prefix at the root of its bucket, or, with `?prefix=`, the bucket
 * @throws ERR_DDI_PULL_NOT_FOUND, ERR_DDI_PULL_RESPONSE, and what the transport throws
 */
export async function readListing(transport: Transport, directory: URL, form: ListingForm) {
  return form === 'html'
    ? filesInHtml(await readPage(transport, directory), directory)
    : await filesInBucket(transport, directory)
}

/** The files of a directory that the links of its page lead to, as Apache, nginx and others write such pages. */
export function filesInHtml(html: string, directory: URL): readonly ListedFile[] {
  const links = html.matchAll(/\shref\s{0,9}=\s{0,9}(?:"([^"<>]{1,4096})"|'([^'<>]{1,4096})')/gi)
  return [...links].flatMap(([, double, single]) => {
    const url = urlOf(decoded(double ?? single!), directory)
    const isBeside = url?.origin === directory.origin && url.pathname.startsWith(directory.pathname)
    return isBeside ? named(url.pathname.slice(directory.pathname.length), url) : []
  })
}

async function filesInBucket(transport: Transport, directory: URL): Promise<readonly ListedFile[]> {
  const { bucket, prefix } = bucketOf(directory)
  const files: ListedFile[] = []
  let after: string | undefined
  for (let page = 0; page < mostPages; page++) {
    const request = new URL(bucket)
    for (const [name, value] of Object.entries({ 'list-type': '2', delimiter: '/', prefix }))
      request.searchParams.set(name, value)
    if (after !== undefined) request.searchParams.set('continuation-token', after)
    const listed = parseBucketListing(await readPage(transport, request), request)
    for (const key of listed.keys)
      if (key.startsWith(prefix))
        files.push(...named(encodePath(key.slice(prefix.length)), new URL(encodePath(key), keysOf(bucket))))
    if (listed.next === null) return files
    after = listed.next
  }
  throw new DdiError('ERR_DDI_PULL_RESPONSE', `${bucket} lists more than ${mostPages} pages of files: give a prefix`)
}

/** One page of ListBucketResult (Amazon S3 API reference, ListObjectsV2). @throws ERR_DDI_PULL_RESPONSE */
export function parseBucketListing(xml: string, where: URL) {
  if (!/<ListBucketResult[\s>]/.test(xml))
    throw new DdiError('ERR_DDI_PULL_RESPONSE', `${where} does not list a bucket as S3 does`)
  const keys = [...xml.matchAll(/<Key>([^<]{1,4096})<\/Key>/g)].map(([, key]) => decoded(key!))
  const next = /<NextContinuationToken>([^<]{1,4096})<\/NextContinuationToken>/.exec(xml)?.[1]
  return { keys, next: next === undefined ? null : decoded(next) }
}

function bucketOf(directory: URL): { readonly bucket: URL; readonly prefix: string } {
  const given = directory.searchParams.get('prefix')
  if (given !== null) return { bucket: directory, prefix: given }
  const bucket = Object.assign(new URL(directory), { pathname: '/' })
  return { bucket, prefix: decodeURIComponent(directory.pathname.slice(1)) }
}

/** Where the keys of a bucket are files: without what asks for its listing. */
function keysOf(bucket: URL): URL {
  const path = bucket.pathname.endsWith('/') ? bucket.pathname : `${bucket.pathname}/`
  return Object.assign(new URL(bucket), { search: '', pathname: path })
}

async function readPage(transport: Transport, url: URL): Promise<string> {
  const bytes = await transport.read(url, largestPage, true)
  if (!bytes) throw new DdiError('ERR_DDI_PULL_NOT_FOUND', `there is no ${url}`)
  return Buffer.from(bytes).toString('utf8')
}

/** @param path as URLs have it: the name of a file in a directory, or of something further away */
function named(path: string, url: URL): readonly ListedFile[] {
  if (path === '' || path.includes('/')) return []
  try {
    return [{ name: decodeURIComponent(path), url: Object.assign(new URL(url), { hash: '' }) }]
  } catch {
    return []
  }
}

function urlOf(link: string, base: URL): URL | undefined {
  return URL.canParse(link, base.href) ? new URL(link, base) : undefined
}

function encodePath(key: string): string {
  return key.toWellFormed().split('/').map(encodeURIComponent).join('/')
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** The characters that HTML and XML cannot have as they are. */
function decoded(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (all, decimal, hex, name) => {
    if (name !== undefined) return entities[name as string] ?? all
    const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal)
    return code <= 0x10ffff ? String.fromCodePoint(code) : all
  })
}
