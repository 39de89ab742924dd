import { addAbortSignal, type Readable } from 'node:stream'
import { type Room, requireRoom, roomBeside, watchRoom } from '../bytes/room.js'
import { DdiError, systemError } from '../errors.js'
import { throwIfAborted, type Work } from '../work.js'
import type { Address } from './address.js'
import { type Batch, batchesOf, lengthOf, peek } from './batches.js'
import { expectedChecksum } from './checksums.js'
import { withQcow2 } from './convert.js'
import { decompress, ReusedMemory } from './decompress.js'
import { type Compression, detectCompression, headLength, refuseForeign, requireImage } from './formats.js'
import type { ImageKind } from './names.js'
import { openTransport } from './open-transport.js'
import type { Settings } from './options.js'
import { openPartial, type PartialDownload } from './partial.js'
import { isQcow2 } from './qcow2.js'
import { StreamHash } from './stream-hash.js'
import type { Download, Transport } from './transport.js'

export interface Received {
  /** Unpacked, in bytes. */
  readonly size: number
  /** How many bytes came over the network, and how many an earlier pull had left. */
  readonly downloaded: number
  readonly resumed: number
  /** Of the file as it was downloaded, in hexadecimal. */
  readonly sha256: string
  readonly compression: Compression
}

/** What is known of a download before its bytes are taken. */
export interface Arrival {
  /** Whether the bytes are those of the download: neither unpacked nor converted. */
  readonly isAsItCame: boolean
  /** Unpacked, in bytes, if that is known. */
  readonly size: number | undefined
  /** Where the download is kept as it came, if it is. */
  readonly partial: PartialDownload | undefined
}

/** Where unpacked bytes go. */
export interface Destination extends AsyncDisposable {
  /** What the bytes have to be. */
  readonly kind: ImageKind
  /** Whether `finish` reads all bytes again: then they are kept in the page cache. */
  readonly readsAgain: boolean
  /**
   * Takes all bytes; nothing appears under its final name yet.
   * @param memory takes back chunks that are no longer used
   */
  take(batches: AsyncIterable<Batch>, arrival: Arrival, memory: ReusedMemory): Promise<void>
  /** Called when everything is verified: makes the result appear, durably. */
  finish(work: Pick<Work, 'signal'>): Promise<void>
}

/**
 * Downloads, verifies and unpacks in one pass; hashing and writing run beside it.
 * @param keep the path that is being pulled: the download is kept beside it, for the next pull to resume. Default: it is not kept
 * @throws ERR_DDI_BUSY, the `ERR_DDI_PULL_…` codes, and what the destination throws
 */
export async function receive(
  { url, ...own }: Address,
  destination: Destination,
  settings: Settings,
  keep?: string,
): Promise<Received> {
  await using transport = await openTransport({ ...settings, ...own })
  const expected = await expectedChecksum(transport, url, settings.verify, settings.keyring)
  throwIfAborted(settings.signal)
  await using partial = keep === undefined ? undefined : await openPartial(keep, url, expected)
  const download = await begin(transport, url, expected !== undefined, partial)
  const room = keep === undefined ? undefined : await roomBeside(keep)
  try {
    const received = await takeAll({ url, download, partial, room, beside: keep, destination, settings })
    if (expected !== undefined) requireChecksum(url, received, expected)
    await destination.finish({ signal: settings.signal })
    await partial?.discard()
    return received
  } catch (error) {
    // Bytes that are bad, or of another state of the file, are not worth resuming.
    if (error instanceof DdiError && (error.kind === 'image' || error.code === 'ERR_DDI_PULL_CHANGED'))
      await partial?.discard()
    throw error
  }
}

/**
 * The same for bytes that come from anywhere; what verifies them is at most a SHA-256 that is known, and nothing is left to be resumed.
 * @throws ERR_DDI_USAGE for other verification, the `ERR_DDI_PULL_…` codes, and what the destination throws
 */
export async function receiveStream(
  stream: Readable,
  destination: Destination,
  settings: Settings,
  keep?: string,
): Promise<Received> {
  const { verify } = settings
  if (verify === 'checksum' || verify === 'signature')
    throw new DdiError('ERR_DDI_USAGE', 'a stream has no checksums beside it: give its SHA-256, or verify nothing')
  const bytes = stoppable(stream, settings.signal)
  const download = { start: 0, size: null, validator: null, bytes }
  await using partial = keep === undefined ? undefined : await openPartial(keep, new URL('stream:/'), undefined)
  const room = keep === undefined ? undefined : await roomBeside(keep)
  try {
    const received = await takeAll({ url: 'the stream', download, partial, room, beside: keep, destination, settings })
    if (typeof verify === 'object') requireChecksum('the stream', received, verify.sha256)
    await destination.finish({ signal: settings.signal })
    return received
  } finally {
    // Nobody could resume it.
    await partial?.discard()
  }
}

async function* stoppable(stream: Readable, signal: AbortSignal | undefined): AsyncGenerator<Batch> {
  try {
    yield* batchesOf(signal ? addAbortSignal(signal, stream) : stream)
  } catch (error) {
    throwIfAborted(signal)
    throw systemError(error, 'cannot read the stream')
  }
}

/** @throws ERR_DDI_PULL_CHECKSUM */
function requireChecksum(url: URL | string, { sha256 }: Received, expected: string): void {
  if (sha256 !== expected)
    throw new DdiError(
      'ERR_DDI_PULL_CHECKSUM',
      `${url} has the SHA-256 ${sha256}, expected ${expected}: it was changed or cut off`,
    )
}

/** @param verified whether the SHA-256 of the file is known @param partial what is here of it, to be resumed */
async function begin(
  transport: Transport,
  url: URL,
  verified: boolean,
  partial: PartialDownload | undefined,
): Promise<Download> {
  const anew = () => transport.download(url, { from: 0, size: null, validator: null, verified })
  if (!partial || partial.received === 0) return await remembered(await anew(), partial)
  const { received: from, state, isOfSameHash } = partial
  const download = await transport.download(url, { from, ...state, verified: isOfSameHash }).catch((error: unknown) => {
    if (!(error instanceof DdiError && error.code === 'ERR_DDI_PULL_CHANGED')) throw error
    return anew()
  })
  if (download.start !== from) await partial.restart()
  return await remembered(download, partial)
}

async function remembered(download: Download, partial: PartialDownload | undefined): Promise<Download> {
  await partial?.remember(download)
  return download
}

interface Reception {
  /** For messages. */
  readonly url: URL | string
  readonly download: Download
  readonly partial: PartialDownload | undefined
  readonly room: Room | undefined
  /** The path that is being pulled, if it is one. */
  readonly beside: string | undefined
  readonly destination: Destination
  readonly settings: Settings
}

/** Takes a download to its end: hashes, keeps, unpacks and hands over its bytes. */
async function takeAll({ url, download, partial, room, beside, destination, settings }: Reception): Promise<Received> {
  await using hash = new StreamHash()
  const resumed = download.start
  let [downloaded, size] = [0, 0]
  let compression: Compression = 'none'
  const incoming = async function* () {
    // What an earlier pull left is hashed and unpacked again, from the disk.
    if (partial)
      for await (const batch of partial.stored()) {
        await hash.add(batch)
        yield batch
      }
    for await (const batch of download.bytes) {
      await partial?.append(batch, compression === 'none' && destination.readsAgain)
      downloaded += lengthOf(batch)
      settings.onProgress?.({ done: resumed + downloaded, total: download.size })
      await hash.add(batch)
      yield batch
    }
  }
  const leavesRoom = watchRoom(url, room)
  const limited = async function* (batches: AsyncIterable<Batch>) {
    for await (const batch of batches) {
      size += lengthOf(batch)
      requireSize(url, size, settings)
      await leavesRoom(size)
      yield batch
    }
  }
  const { head, all } = await peek(incoming(), headLength)
  if (destination.kind === 'tar' || !isQcow2(head)) refuseForeign(url, head)
  compression = detectCompression(head)
  // On a disk, zeroes of what is not packed take no room.
  if (room && download.size !== null && (room.inMemory || compression !== 'none'))
    await requireRoom(url, room, download.size - resumed - downloaded)
  const memory = new ReusedMemory()
  const unpacked = limited(decompress(all, compression, settings.maxMemory, memory))
  const isAsItCame = compression === 'none'
  const arrival = { isAsItCame, size: isAsItCame ? (download.size ?? undefined) : undefined, partial }
  if (destination.kind === 'tar') await destination.take(unpacked, arrival, memory)
  else {
    const { head, all } = await peek(unpacked, headLength)
    if (!isQcow2(head)) await destination.take(requireImage(url, all), arrival, memory)
    else
      await withQcow2(all, { partial: isAsItCame ? partial : undefined, beside }, async (image) => {
        size = requireSize(url, image.size, settings)
        const converted = { isAsItCame: false, size, partial }
        await destination.take(requireImage(url, image.bytes()), converted, memory)
      })
  }
  await partial?.settle()
  return { size, downloaded, resumed, sha256: await hash.digest(), compression }
}

/** @throws ERR_DDI_PULL_TOO_LARGE */
export function requireSize(url: URL | string, size: number, { maxSize }: Pick<Settings, 'maxSize'>): number {
  if (size > maxSize) throw new DdiError('ERR_DDI_PULL_TOO_LARGE', `${url} has more than ${maxSize} bytes`)
  return size
}
