import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { addon } from '../../bindings/addon.js'
import { nonzeroRuns } from '../block/copy.js'
import { writeErrors } from '../block/file.js'
import { giveName, refuseExisting } from '../block/new-file.js'
import { DdiError, systemError, throwIfAborted } from '../errors.js'
import { dissect } from '../image/dissect.js'
import { openImage } from '../image/open.js'
import { verify } from '../image/verify.js'
import { expectedChecksum, type VerifyMode } from './checksums.js'
import { type Compression, decompress, detectCompression, magicLength } from './decompress.js'
import { openTransport, type TransportOptions, type Validator } from './remote.js'

export interface PullOptions extends TransportOptions {
  /** What the download is held against. Default: signature. */
  readonly verify?: VerifyMode
  /** OpenPGP keys for signatures. Default: systemd’s. */
  readonly keyring?: string
  /** A root hash that the image has to have; its hash tree is checked whole. */
  readonly rootHash?: string
  /** Bytes of the image at most, unpacked. Default: 64 GiB. */
  readonly maxSize?: number
  /** Takes the right to write from the file. Default: false. */
  readonly readOnly?: boolean
  /** Replaces an image that exists. Default: false. */
  readonly replace?: boolean
  /** Told how many bytes of how many have come. */
  readonly onProgress?: (done: number, total: number | null) => void
}

export interface PulledImage {
  readonly path: string
  /** Unpacked, in bytes. */
  readonly size: number
  /** How many bytes came over the network now, and how many were there from before. */
  readonly downloaded: number
  readonly resumed: number
  /** Of the file as it was downloaded, in hexadecimal. */
  readonly sha256: string
  readonly compression: Compression
}

const defaultMaxSize = 64 * 1024 ** 3

/**
 * Downloads a raw image. It has its name only when all of it is verified and on the disk; what a broken or killed pull left is
 * taken up by the next one of the same address.
 * @param path the new file
 * @throws ERR_DDI_EXISTS, ERR_DDI_BUSY where another process pulls to the same path, ERR_DDI_NO_SPACE, ERR_DDI_ROOT_HASH_WRONG and its like, and the
 *   `ERR_DDI_PULL_…` codes; no file of that name is there then
 */
export async function pullRaw(address: string | URL, path: string, options: PullOptions = {}): Promise<PulledImage> {
  const { replace = false, signal } = options
  if (!URL.canParse(String(address)))
    throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(String(address))} is no URL`)
  const url = new URL(address)
  if (!replace) await refuseExisting(path)
  await mkdir(dirname(path), { recursive: true })
  await using transport = await openTransport(options)
  const expected = await expectedChecksum(transport, url, options.verify ?? 'signature', options.keyring)
  throwIfAborted(signal)
  await using partial = await openPartial(path, url, expected !== undefined)
  const { validator, received } = partial
  const found = await transport.download(url, received, validator)
  if (found.start !== received) await partial.restart()
  await partial.remember(found.validator)
  const resumed = partial.received
  const hash = createHash('sha256')
  let downloaded = 0
  const whole = async function* () {
    // What is there already is hashed and unpacked again, from the disk.
    for await (const bytes of partial.stored()) {
      hash.update(bytes)
      yield bytes
    }
    for await (const bytes of found.bytes) {
      hash.update(bytes)
      await partial.append(bytes)
      downloaded += bytes.length
      options.onProgress?.(resumed + downloaded, found.size)
      yield bytes
    }
  }
  try {
    const { compression, size } = await unpack(whole(), partial, options.maxSize ?? defaultMaxSize)
    const sha256 = hash.digest('hex')
    if (expected !== undefined && sha256 !== expected) {
      await partial.discard()
      throw new DdiError(
        'ERR_DDI_PULL_CHECKSUM',
        `${url} has the SHA-256 ${sha256}, and should have ${expected}: it was changed, or cut off`,
      )
    }
    const image = await partial.finish(compression)
    if (options.rootHash !== undefined) await verifyImage(image, options.rootHash, () => partial.discard())
    if (options.readOnly) await partial.protect(image)
    await giveName(image, path, replace)
    await partial.discard()
    return { path, size, downloaded, resumed, sha256, compression }
  } catch (error) {
    // What is corrupt is no beginning of anything.
    if (
      error instanceof DdiError &&
      ['ERR_DDI_PULL_COMPRESSION', 'ERR_DDI_PULL_TOO_LARGE', 'ERR_DDI_PULL_CHANGED'].includes(error.code)
    )
      await partial.discard()
    throw error
  }
}

async function unpack(
  bytes: AsyncGenerator<Uint8Array>,
  partial: PartialDownload,
  maxSize: number,
): Promise<{ compression: Compression; size: number }> {
  // The first bytes tell how all are packed.
  const head: Uint8Array[] = []
  for (let length = 0; length < magicLength; ) {
    const next = await bytes.next()
    if (next.done) break
    head.push(next.value)
    length += next.value.length
  }
  const beginning = Buffer.concat(head)
  const compression = detectCompression(beginning)
  const all = async function* () {
    if (beginning.length > 0) yield beginning
    yield* bytes
  }
  let size = 0
  for await (const chunk of decompress(all(), compression)) {
    size += chunk.length
    if (size > maxSize)
      throw new DdiError('ERR_DDI_PULL_TOO_LARGE', `the image has more than ${maxSize} bytes: see --max-size`)
    if (compression !== 'none') await partial.write(chunk)
  }
  return { compression, size }
}

async function verifyImage(path: string, rootHash: string, discard: () => Promise<void>): Promise<void> {
  await using image = await openImage(path)
  try {
    const volumes = await verify(await dissect(image, { rootHash }))
    const bad = volumes.find((one) => one.badDataBlocks + one.badHashBlocks > 0)
    if (bad)
      throw new DdiError(
        'ERR_DDI_VERITY_CORRUPT',
        `${bad.badDataBlocks} data blocks of ${bad.designator} do not match the root hash`,
      )
  } catch (error) {
    if (error instanceof DdiError && error.kind === 'image') await discard()
    throw error
  }
}

/** What is there of a download, beside where it goes. */
interface PartialDownload extends AsyncDisposable {
  readonly received: number
  readonly validator: Validator | null
  /** The bytes that were there when it was opened. */
  stored(): AsyncIterable<Uint8Array>
  append(bytes: Uint8Array): Promise<void>
  /** Unpacked bytes, where they are others. */
  write(bytes: Uint8Array): Promise<void>
  restart(): Promise<void>
  remember(validator: Validator | null): Promise<void>
  /** @returns the path of the image, flushed */
  finish(compression: Compression): Promise<string>
  protect(image: string): Promise<void>
  discard(): Promise<void>
}

/** @param verified whether all bytes will be: if not, those that a power cut may have taken are not taken up */
async function openPartial(path: string, url: URL, verified: boolean): Promise<PartialDownload> {
  const mark = createHash('sha256').update(url.href).digest('hex').slice(0, 16)
  const base = join(dirname(path), `.${basename(path)}.${mark}`)
  const [download, unpacked, state] = [`${base}.partial`, `${base}.unpacked`, `${base}.state`]
  const handle = await lockPartial(download)
  let received = (await handle.stat()).size
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
  const remembered = received > 0 ? await readState(state) : null
  const known = remembered !== null && (verified || remembered.boot === boot) ? remembered.validator : null
  // Without knowing of which file they are, bytes are worth nothing.
  if (known === null) received = 0
  await handle.truncate(received)
  const first = received
  const writer = new SparseWriter(handle, received)
  let output: { readonly handle: FileHandle; readonly writer: SparseWriter } | undefined
  let before = first
  return {
    get received() {
      return received
    },
    validator: known,
    async *stored() {
      const buffer = Buffer.allocUnsafe(1024 * 1024)
      for (let at = 0; at < before; ) {
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, before - at), at)
        if (bytesRead === 0) return
        yield Buffer.from(buffer.subarray(0, bytesRead))
        at += bytesRead
      }
    },
    async append(bytes) {
      await writer.write(bytes)
      received += bytes.length
    },
    async write(bytes) {
      output ??= await openOutput(unpacked)
      await output.writer.write(bytes)
    },
    async restart() {
      await handle.truncate(0)
      writer.reset()
      received = 0
      before = 0
    },
    async remember(validator) {
      if (validator === null) await rm(state, { force: true })
      else {
        const since = received > 0 && remembered !== null ? remembered.boot : boot
        await writeFile(state, JSON.stringify({ url: url.href, validator, boot: since }))
      }
    },
    async finish(compression) {
      await writer.flush()
      if (compression === 'none') {
        await attempt(download, handle.sync())
        return download
      }
      output ??= await openOutput(unpacked)
      await output.writer.flush()
      await attempt(unpacked, output.handle.sync())
      return unpacked
    },
    async protect(image) {
      const file = image === download ? handle : output!.handle
      await file.chmod(0o444)
    },
    async discard() {
      for (const name of [download, unpacked, state]) await rm(name, { force: true })
    },
    async [Symbol.asyncDispose]() {
      // What was received counts when it is taken up again; what was unpacked is unpacked again.
      await writer.flush().catch(() => {
        // The disk may be full: then less of it counts.
      })
      await handle.close()
      if (output) {
        await output.handle.close()
        await rm(unpacked, { force: true })
      }
      if ((await stat(download).catch(() => undefined))?.size === 0) await rm(download, { force: true })
    },
  }
}

async function attempt<Value>(path: string, work: Promise<Value>): Promise<Value> {
  try {
    return await work
  } catch (error) {
    throw systemError(error, `cannot write ${path}`, writeErrors)
  }
}

/** Opens the file for us alone. Who had it before may have given it its name, and it is another file then. */
async function lockPartial(path: string): Promise<FileHandle> {
  for (;;) {
    const handle = await attempt(path, open(path, constants.O_RDWR | constants.O_CREAT, 0o644))
    try {
      await addon().lockExclusively(handle.fd, path)
      const [own, there] = [await handle.stat(), await stat(path).catch(() => undefined)]
      if (there?.ino === own.ino && there.dev === own.dev) return handle
      await handle.close()
    } catch (error) {
      await handle.close()
      throw systemError(error, `another process pulls to ${path}`, { EAGAIN: 'ERR_DDI_BUSY' })
    }
  }
}

async function readState(path: string): Promise<{ readonly validator: Validator; readonly boot: unknown } | null> {
  try {
    const { validator, boot } = JSON.parse(await readFile(path, 'utf8')) as { validator?: unknown; boot?: unknown }
    return typeof validator === 'string' ? { validator, boot } : null
  } catch {
    // Missing, or torn by a power cut: then it is begun again.
    return null
  }
}

async function openOutput(path: string) {
  const handle = await attempt(path, open(path, 'w+', 0o644))
  return { handle, writer: new SparseWriter(handle, 0) }
}

const block = 1024 * 1024

/** Writes a stream in large aligned pieces, and leaves pages of zeroes out. The file is as long as what was flushed. */
class SparseWriter {
  readonly #handle: FileHandle
  readonly #buffer = Buffer.allocUnsafe(block)
  #start: number
  #filled = 0

  constructor(handle: FileHandle, start: number) {
    this.#handle = handle
    this.#start = start
  }

  reset(): void {
    this.#start = 0
    this.#filled = 0
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      // Pieces end on multiples of their size, wherever a download was taken up.
      const room = block - (this.#start % block) - this.#filled
      const part = bytes.subarray(done, done + room)
      this.#buffer.set(part, this.#filled)
      this.#filled += part.length
      done += part.length
      if (part.length === room) await this.flush()
    }
  }

  async flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#filled)
    let end = 0
    for (const run of nonzeroRuns(bytes)) {
      for (let at = run.start; at < run.end; ) {
        const { bytesWritten } = await attempt(
          'the image',
          this.#handle.write(bytes, at, run.end - at, this.#start + at),
        )
        at += bytesWritten
      }
      end = run.end
    }
    if (end < bytes.length) await attempt('the image', this.#handle.truncate(this.#start + bytes.length))
    this.#start += bytes.length
    this.#filled = 0
  }
}
