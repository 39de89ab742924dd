import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeErrors } from '../block/file.js'
import { giveName, refuseExisting } from '../block/new-file.js'
import { DdiError, systemError } from '../errors.js'
import { dissect } from '../image/dissect.js'
import { openImage } from '../image/open.js'
import { verify } from '../image/verify.js'
import { inBatches } from './chunks.js'
import type { ReusedMemory } from './decompress.js'
import { type Arrival, type Destination, parseUrl, type Received, type ReceiveOptions, receive } from './receive.js'
import { SparseWriter } from './sparse-writer.js'

export interface PullOptions extends ReceiveOptions {
  /** A root hash that the image has to have; its hash tree is checked whole. */
  readonly rootHash?: string
  /** Takes the right to write from the file. Default: false. */
  readonly readOnly?: boolean
  /** Replaces an image that exists. Default: false. */
  readonly replace?: boolean
}

export interface PulledImage extends Received {
  readonly path: string
}

/**
 * Downloads a raw image. It has its name only when all of it is verified and on the disk; what a broken or killed pull left is
 * taken up by the next one of the same address.
 * @param path the new file
 * @throws ERR_DDI_EXISTS, ERR_DDI_BUSY where another process pulls to the same path, ERR_DDI_NO_SPACE, ERR_DDI_ROOT_HASH_WRONG and its like, and the
 *   `ERR_DDI_PULL_…` codes; no file of that name is there then
 */
export async function pullRaw(address: string | URL, path: string, options: PullOptions = {}): Promise<PulledImage> {
  const url = parseUrl(address)
  if (!options.replace) await refuseExisting(path)
  await mkdir(dirname(path), { recursive: true })
  await using file = new FileDestination(path, options)
  return { path, ...(await receive(url, file, options, path)) }
}

/** A file that has another name until it is verified: that of the partial download, unless what comes is packed. */
class FileDestination implements Destination {
  readonly #path: string
  readonly #options: PullOptions
  #file: { readonly handle: FileHandle; readonly path: string; readonly own: boolean } | undefined

  constructor(path: string, options: PullOptions) {
    this.#path = path
    this.#options = options
  }

  async take(chunks: AsyncIterable<Uint8Array>, arrival: Arrival, memory: ReusedMemory): Promise<void> {
    const partial = arrival.partial!
    if (arrival.compression === 'none') {
      this.#file = { handle: partial.file, path: partial.path, own: false }
      for await (const _ of chunks);
      return
    }
    const path = partial.path.replace(/partial$/, 'unpacked')
    const handle = await open(path, 'w+', 0o644).catch((error: unknown) => {
      throw systemError(error, `cannot make ${path}`, writeErrors)
    })
    this.#file = { handle, path, own: true }
    const writer = new SparseWriter(handle.fd, path, 0)
    for await (const batch of inBatches(chunks))
      await writer.write(batch, true, () => {
        for (const chunk of batch) memory.give(chunk)
      })
    await writer.end()
  }

  async finish(): Promise<void> {
    const { rootHash, readOnly = false, replace = false } = this.#options
    const { handle, path } = this.#file!
    if (rootHash !== undefined) await verifyImage(path, rootHash)
    try {
      if (readOnly) await handle.chmod(0o444)
      await handle.sync()
    } catch (error) {
      throw systemError(error, `cannot write ${path}`, writeErrors)
    }
    await giveName(path, this.#path, replace)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#file?.own) return
    await this.#file.handle.close()
    await rm(this.#file.path, { force: true })
  }
}

/** @throws ERR_DDI_ROOT_HASH_WRONG and its like, ERR_DDI_VERITY_CORRUPT */
async function verifyImage(path: string, rootHash: string): Promise<void> {
  await using image = await openImage(path)
  const volumes = await verify(await dissect(image, { rootHash }))
  const bad = volumes.find((one) => one.badDataBlocks + one.badHashBlocks > 0)
  if (bad)
    throw new DdiError(
      'ERR_DDI_VERITY_CORRUPT',
      `${bad.badDataBlocks} data blocks of ${bad.designator} do not match the root hash`,
    )
}
