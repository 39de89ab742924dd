import { type FileHandle, open, rm } from 'node:fs/promises'
import { openFile } from '../bytes/file.js'
import { giveName } from '../bytes/new-file.js'
import { DdiError, systemError } from '../errors.js'
import { imageOn } from '../image/open.js'
import { requireRootHash } from '../image/verify.js'
import type { OptionNames } from '../options.js'
import type { Work } from '../work.js'
import type { Batch } from './batches.js'
import type { ReusedMemory } from './decompress.js'
import type { Arrival, Destination } from './receive.js'
import { orWriteError, SparseWriter } from './sparse-writer.js'

export interface FileTarget {
  readonly kind: 'raw'
  /** The new file. */
  readonly path: string
  /** The root hash that the image must have; its whole hash tree is verified. */
  readonly rootHash?: string
  /** Makes the file read-only. Default: false. */
  readonly readOnly?: boolean
  /** Replaces an existing file. Default: false. */
  readonly replace?: boolean
}
export const fileTargetNames: OptionNames<FileTarget> = {
  kind: true,
  path: true,
  rootHash: true,
  readOnly: true,
  replace: true,
}

/** A file under a temporary name until it is verified: that of the partial download, unless the download is compressed, or of another format. */
export class FileDestination implements Destination {
  readonly kind = 'raw'
  readonly #target: FileTarget
  readonly #beforeNaming: () => Promise<void>
  #file: { readonly handle: FileHandle; readonly path: string; readonly own: boolean } | undefined

  /** @param beforeNaming is waited for when all is verified and on the disk, before the file gets its name */
  constructor(target: FileTarget, beforeNaming = async () => {}) {
    this.#target = target
    this.#beforeNaming = beforeNaming
  }

  get readsAgain(): boolean {
    return this.#target.rootHash !== undefined
  }

  async take(batches: AsyncIterable<Batch>, arrival: Arrival, memory: ReusedMemory): Promise<void> {
    const partial = arrival.partial!
    if (arrival.isAsItCame) {
      this.#file = { handle: partial.file, path: partial.path, own: false }
      for await (const _ of batches);
      return
    }
    const path = partial.beside('unpacked')
    // A file that a killed pull left, or a link to elsewhere, is not written to.
    await removeFile(path)
    const handle = await open(path, 'wx+', 0o644).catch((error: unknown) => {
      throw systemError(error, `cannot make ${path}`)
    })
    this.#file = { handle, path, own: true }
    const writer = new SparseWriter(handle.fd, path, 0)
    try {
      for await (const batch of batches)
        await writer.write(batch, this.readsAgain, () => {
          for (const chunk of batch) memory.give(chunk)
        })
    } finally {
      await writer.end()
    }
  }

  async finish(work: Pick<Work, 'signal'>): Promise<void> {
    const { rootHash, readOnly = false, replace = false } = this.#target
    const { handle, path } = this.#file!
    if (rootHash !== undefined) {
      await using file = await openFile(path)
      await using image = await imageOn(file, { name: this.#target.path })
      await requireRootHash(image, rootHash, work)
    }
    if (readOnly) await makeReadOnly(handle, path)
    await orWriteError(path, handle.sync())
    await this.#beforeNaming()
    await giveName(path, this.#target.path, replace).catch((error: unknown) => {
      throw systemError(error, `cannot rename ${path} to ${this.#target.path}`, { EISDIR: 'ERR_DDI_EXISTS' })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#file?.own) return
    await this.#file.handle.close()
    await removeFile(this.#file.path)
  }
}

/** @throws ERR_DDI_KERNEL where the file system keeps no modes, ERR_DDI_PERMISSION */
async function makeReadOnly(handle: FileHandle, path: string): Promise<void> {
  await orWriteError(path, handle.chmod(0o444))
  if (((await handle.stat()).mode & 0o222) !== 0)
    throw new DdiError('ERR_DDI_KERNEL', `${path} cannot be made read-only: its file system keeps no such mode`)
}

async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true }).catch((error: unknown) => {
    throw systemError(error, `cannot remove ${path}`)
  })
}
