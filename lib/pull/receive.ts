import { addon } from '../../bindings/addon.js'
import { BoundedQueue } from '../bounded-queue.js'
import { DdiError } from '../errors.js'
import { throwIfAborted, type Work } from '../work.js'
import type { Address } from './address.js'
import { type Batch, lengthOf } from './batches.js'
import { expectedChecksum, type VerifyMode } from './checksums.js'
import { type Compression, decompress, detectCompression, magicLength, ReusedMemory } from './decompress.js'
import { openPartial, type PartialDownload } from './partial.js'
import { openTransport, type TransportOptions } from './remote.js'

export interface ReceiveOptions extends TransportOptions, Work {
  /** What the download is held against. Default: signature. */
  readonly verify?: VerifyMode
  /** OpenPGP keys for signatures. Default: systemd’s. */
  readonly keyring?: string
  /** Bytes at most, unpacked. Default: 64 GiB. */
  readonly maxSize?: number
}

export interface Received {
  /** Unpacked, in bytes. */
  readonly size: number
  /** How many bytes came over the network now, and how many were there from before. */
  readonly downloaded: number
  readonly resumed: number
  /** Of the file as it was downloaded, in hexadecimal. */
  readonly sha256: string
  readonly compression: Compression
}

/** How bytes come. */
export interface Arrival {
  readonly compression: Compression
  /** Unpacked, in bytes, where that is known before. */
  readonly size: number | undefined
  /** Where the download is kept as it came, if it is. */
  readonly partial: PartialDownload | undefined
}

/** Where unpacked bytes go. */
export interface Destination extends AsyncDisposable {
  /** Whether `finish` reads all of them again: they are to stay in memory then. */
  readonly readsAgain: boolean
  /**
   * Takes all of them; nothing has its name yet.
   * @param memory takes back chunks that are done with
   */
  take(batches: AsyncIterable<Batch>, arrival: Arrival, memory: ReusedMemory): Promise<void>
  /** All is verified: it becomes what it is to be, and stays so. */
  finish(): Promise<void>
}

const defaultMaxSize = 64 * 1024 ** 3

/**
 * Downloads, verifies and unpacks, in one pass: hashing and writing run beside it.
 * @param keep the path that is being pulled: beside it the download is kept, for the next pull to take up. Default: it is not
 * @throws ERR_DDI_BUSY, the `ERR_DDI_PULL_…` codes, and what the destination throws
 */
export async function receive(
  { url, ...own }: Address,
  destination: Destination,
  options: ReceiveOptions,
  keep?: string,
): Promise<Received> {
  await using transport = await openTransport({ ...options, ...own })
  const expected = await expectedChecksum(transport, url, options.verify ?? 'signature', options.keyring)
  throwIfAborted(options.signal)
  await using partial = keep === undefined ? undefined : await openPartial(keep, url, expected !== undefined)
  const before = partial?.received ?? 0
  const found = await transport.download(url, before, partial?.validator)
  if (found.start !== before) await partial?.restart()
  await partial?.remember(found.validator)
  const resumed = found.start
  let downloaded = 0
  let compression: Compression = 'none'
  const hash = addon().sha256Begin()
  await using hashing = new BoundedQueue(4)
  const hashed = async (batch: Batch) => {
    await hashing.addStep(() => addon().sha256Update(hash, batch))
    return batch
  }
  const batches = async function* () {
    // What is there already is hashed and unpacked again, from the disk.
    if (partial) for await (const batch of partial.stored()) yield await hashed(batch)
    for await (const batch of found.bytes) {
      await partial?.append(batch, compression === 'none' && destination.readsAgain)
      downloaded += lengthOf(batch)
      options.onProgress?.({ done: resumed + downloaded, total: found.size })
      yield await hashed(batch)
    }
  }
  let size = 0
  const limit = options.maxSize ?? defaultMaxSize
  const limited = async function* (unpacked: AsyncIterable<Batch>) {
    for await (const batch of unpacked) {
      size += lengthOf(batch)
      if (size > limit)
        throw new DdiError('ERR_DDI_PULL_TOO_LARGE', `${url} has more than ${limit} bytes: see --max-size`)
      yield batch
    }
  }
  try {
    // The first bytes tell how all are packed.
    const { head, all } = await peek(batches(), magicLength)
    compression = detectCompression(head)
    const memory = new ReusedMemory()
    const known = compression === 'none' ? (found.size ?? undefined) : undefined
    const arrival = { compression, size: known, partial }
    await destination.take(limited(decompress(all, compression, memory)), arrival, memory)
    await partial?.settle()
    await hashing.end()
    const sha256 = Buffer.from(addon().sha256Digest(hash)).toString('hex')
    if (expected !== undefined && sha256 !== expected)
      throw new DdiError(
        'ERR_DDI_PULL_CHECKSUM',
        `${url} has the SHA-256 ${sha256}, and should have ${expected}: it was changed, or cut off`,
      )
    await destination.finish()
    await partial?.discard()
    return { size, downloaded, resumed, sha256, compression }
  } catch (error) {
    // What is wrong with its bytes, or of a file that is another by now, is no beginning of anything.
    if (error instanceof DdiError && (error.kind === 'image' || error.code === 'ERR_DDI_PULL_CHANGED'))
      await partial?.discard()
    throw error
  }
}

/** The first bytes of a stream, at least `length` of them where there are so many, and all of it. */
async function peek(
  batches: AsyncGenerator<Batch>,
  length: number,
): Promise<{ head: Uint8Array; all: AsyncGenerator<Batch> }> {
  const first: Uint8Array[] = []
  while (lengthOf(first) < length) {
    const next = await batches.next()
    if (next.done) break
    first.push(...next.value)
  }
  const all = async function* () {
    yield first
    yield* batches
  }
  return { head: Buffer.concat(first), all: all() }
}
