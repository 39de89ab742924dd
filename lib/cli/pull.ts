import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setFlagsFromString } from 'node:v8'
import { addon } from '../../bindings/addon.js'
import { nestedTypeUuid } from '../disk/nested.js'
import { DdiError } from '../errors.js'
import { parseAddress } from '../pull/address.js'
import type { VerifyMode } from '../pull/checksums.js'
import { type ImageClass, type ImageKind, imageKind, imageName, imagePath } from '../pull/names.js'
import { credentialsIn } from '../pull/netrc.js'
import type { PullOptions } from '../pull/options.js'
import { type Pulled, type PullTarget, pull } from '../pull/pull.js'
import { parseSize } from '../size.js'
import { printable } from '../text.js'
import { readGiven } from './given-file.js'
import { untilInterrupted } from './interrupt.js'
import type { JsonOption } from './options.js'
import { formatSize, print, printJson, segmentCount } from './output.js'
import { pullProgress } from './progress.js'
import { checkedLabel, typeUuidOf } from './volume-head.js'

export interface PullVerbOptions extends JsonOption {
  readonly type?: ImageKind
  readonly output?: string
  readonly disk?: string
  readonly volume?: string
  readonly volumeType: string
  readonly class: ImageClass
  readonly verify: string
  readonly keyring?: string
  readonly rootHash?: string
  readonly maxSize?: string
  readonly rateLimit?: string
  readonly header?: readonly string[]
  readonly netrc?: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly connections: string
  readonly retries: string
  readonly connectTimeout: string
  readonly stallTimeout: string
  readonly readOnly?: boolean
  readonly force?: boolean
  readonly progress?: 'json'
  readonly fromCmdline?: boolean
  readonly initrd?: boolean
  readonly sysroot?: string
}

export async function runPull(
  address: string | undefined,
  name: string | undefined,
  options: PullVerbOptions,
): Promise<void> {
  if (options.fromCmdline) {
    if (address !== undefined) throw new DdiError('ERR_DDI_USAGE', 'either a URL, or --from-cmdline, which has its own')
    return await (await import('./boot.js')).runBootPulls(options, await pullOptions(undefined, options))
  }
  if (address === undefined) throw new DdiError('ERR_DDI_USAGE', 'a URL is missing')
  if (options.initrd || options.sysroot !== undefined)
    throw new DdiError('ERR_DDI_USAGE', '--initrd and --sysroot go with --from-cmdline')
  const { url } = parseAddress(address)
  tuneProcess()
  const settings = await pullOptions(url, options)
  if (options.output === '-') return await pullToOutput(address, name, options, settings)
  const target = targetOf(url, name, options)
  const pulled = await withProgress(options, (onProgress) => pull(address, target, { ...settings, onProgress }))
  if (options.json !== 'off') printJson({ url: url.href, ...described(pulled) }, options.json)
  else print(summary(pulled))
}

/** For a process that does nothing but download. */
function tuneProcess(): void {
  // Each packet comes in memory of its own: giving that back and asking for it again took a fifth of the time.
  addon().keepFreedMemory(64 * 1024 * 1024)
  // undici’s parser of HTTP is WebAssembly, which sees little of what comes: it need not be compiled a second time for speed.
  setFlagsFromString('--liftoff-only')
}

function targetOf(url: URL, name: string | undefined, options: PullVerbOptions): PullTarget {
  const { disk, volume: label, output, rootHash, readOnly = false, force: replace = false } = options
  const hash = rootHash !== undefined && { rootHash }
  if ((disk === undefined) !== (label === undefined))
    throw new DdiError('ERR_DDI_USAGE', '--disk and --volume belong together')
  if ([name, output, disk].filter((one) => one !== undefined).length > 1)
    throw new DdiError('ERR_DDI_USAGE', 'either a name, or --output, or --disk')
  const kind = options.type ?? imageKind(url)
  if (kind === 'tar' && rootHash !== undefined)
    throw new DdiError('ERR_DDI_USAGE', '--root-hash is of an image, and this is a tree: see --type')
  if (disk === undefined || label === undefined) {
    const path = output ?? imagePath(options.class, imageName(url, name), kind)
    return kind === 'tar' ? { kind, path, readOnly, replace } : { kind, path, readOnly, replace, ...hash }
  }
  if (kind === 'tar') throw new DdiError('ERR_DDI_USAGE', 'a tree of files cannot be a volume: see --type')
  if (readOnly || replace)
    throw new DdiError('ERR_DDI_USAGE', '--read-only and --force are for files and folders, not for volumes')
  const typeUuid = options.volumeType === 'nested' ? nestedTypeUuid : typeUuidOf(options.volumeType)
  return { kind: 'volume', disk, label: checkedLabel(label), typeUuid, ...hash }
}

async function pullOptions(url: URL | undefined, options: PullVerbOptions): Promise<PullOptions> {
  const { keyring, maxSize, rateLimit, ca, cert, key, netrc } = options
  if (key !== undefined && cert === undefined) throw new DdiError('ERR_DDI_USAGE', '--key is that of --cert')
  const seconds = (option: '--connect-timeout' | '--stall-timeout', text: string) => wholeNumber(option, text) * 1000
  const stall = seconds('--stall-timeout', options.stallTimeout)
  const client =
    cert === undefined ? undefined : { certificate: await readText(cert), key: await readText(key ?? cert) }
  const credentials = netrc === undefined || !url ? undefined : credentialsIn(await readText(netrc), url.hostname)
  return {
    verify: parseVerify(options.verify),
    headers: parseHeaders(options.header ?? []),
    connections: wholeNumber('--connections', options.connections),
    retries: wholeNumber('--retries', options.retries),
    timeouts: { connect: seconds('--connect-timeout', options.connectTimeout), headers: stall, stall },
    signal: untilInterrupted(),
    ...(keyring !== undefined && { keyring }),
    ...(maxSize !== undefined && { maxSize: parseSize(maxSize) }),
    ...(rateLimit !== undefined && { rateLimit: parseSize(rateLimit) }),
    ...(ca !== undefined && { authorities: await readText(ca) }),
    ...(client && { client }),
    ...(credentials && { credentials }),
  }
}

async function withProgress(
  { progress: how }: PullVerbOptions,
  work: (onProgress: NonNullable<PullOptions['onProgress']>) => Promise<Pulled>,
): Promise<Pulled> {
  const progress = await pullProgress(how === 'json')
  return await work(({ done, total }) => progress.update(done, total)).finally(() => progress.stop())
}

/** Nothing is put out that is not verified: it waits in a file of its own, which is also what a next pull takes up. */
async function pullToOutput(
  address: string,
  name: string | undefined,
  options: PullVerbOptions,
  settings: PullOptions,
): Promise<void> {
  const { disk, rootHash, readOnly, force } = options
  if (name !== undefined || disk !== undefined || readOnly || force)
    throw new DdiError('ERR_DDI_USAGE', '--output=- goes with neither a name, --disk, --read-only nor --force')
  if (options.json !== 'off')
    throw new DdiError('ERR_DDI_USAGE', 'standard output is the image, and cannot be JSON too')
  // A folder of our own: where others may write, they would choose what we write to.
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const path = join(cache, 'ddi', createHash('sha256').update(address).digest('hex').slice(0, 16))
  const target = { kind: 'raw', path, replace: true, ...(rootHash !== undefined && { rootHash }) } as const
  try {
    await withProgress(options, (onProgress) => pull(address, target, { ...settings, onProgress }))
    await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), process.stdout)
  } finally {
    await rm(path, { force: true })
  }
}

function described({ volume, ...rest }: Pulled) {
  return volume === null ? rest : { ...rest, volume: { uuid: volume.uuid, label: volume.label, size: volume.size } }
}

function summary({ path, volume, size, downloaded, resumed, sha256 }: Pulled): string {
  const more = resumed > 0 ? `, ${formatSize(resumed)} of it from before` : ''
  const where = volume ? ` ${printable(volume.label!)} in ${segmentCount(volume.extents.length)}` : ''
  return `${printable(path)}${where}: ${formatSize(size)}, ${formatSize(downloaded + resumed)} downloaded${more}, SHA-256 ${sha256}`
}

function parseVerify(text: string): VerifyMode {
  if (text === 'no' || text === 'checksum' || text === 'signature') return text
  if (/^[0-9a-f]{64}$/i.test(text)) return { sha256: text.toLowerCase() }
  throw new DdiError(
    'ERR_DDI_USAGE',
    `--verify=${text}: no, checksum, signature, or a SHA-256 of 64 hexadecimal digits`,
  )
}

function parseHeaders(lines: readonly string[]): Record<string, string> {
  const parsed = lines.map((line) => {
    const [, name, value] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):\s*([^\r\n]*)$/.exec(line) ?? []
    if (name === undefined || value === undefined)
      throw new DdiError('ERR_DDI_USAGE', `--header=${JSON.stringify(line)}: write it as NAME: VALUE`)
    return [name, value] as const
  })
  return Object.fromEntries(parsed)
}

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new DdiError('ERR_DDI_USAGE', `${option}=${text}: a whole number`)
}

async function readText(path: string): Promise<string> {
  return (await readGiven(path)).toString()
}
