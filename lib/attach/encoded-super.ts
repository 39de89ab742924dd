// Super partitions that are stored in another form: lpadd changes the same ones.
import { chmod, chown, realpath, stat } from 'node:fs/promises'
import { metadataEnd } from '../android/geometry.js'
import { encodeMetadataImage, isMetadataImage, readMetadataImage, superOf } from '../android/metadata-image.js'
import { encodeSparse, isSparse, openSparse } from '../android/sparse.js'
import { readSuper } from '../android/super.js'
import { createFile, type FileTarget, openFileForWriting } from '../bytes/file.js'
import { writeNewFile } from '../bytes/new-file.js'
import { memoryOverlay, type Overlay, overlayTarget } from '../bytes/overlay.js'
import { alignUp, mergeRuns } from '../bytes/runs.js'
import { openScratch } from '../bytes/scratch.js'
import type { Run, Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import type { ChangedFile } from './open-for-change.js'

interface Form {
  readonly form: 'sparse' | 'metadata'
  readonly source: Source
  /** Where it can be written ends here, in bytes: undefined for everywhere. */
  readonly end?: number
  /** Writes what it has become to a new file. */
  encode(changed: Overlay, to: Target): Promise<unknown>
}

/** A super partition as it would be on its device, to be changed. */
export interface EncodedSuper extends Pick<Form, 'form'> {
  readonly target: Target
  /** Puts what it has become in the place of the file. */
  changed(): Promise<void>
  close(): Promise<void>
}

/**
 * Opens an Android sparse image, or a super_empty.img, to change what it stands for.
 * @param file stays open, and the bytes that it has stay as they are
 * @param dryRun keeps what is written in memory, and makes no file
 * @returns undefined for what is stored as it is
 * @throws ERR_DDI_SPARSE_ENCODED on a block device, ERR_DDI_SPARSE_FORMAT, ERR_DDI_SPARSE_CRC, and as `readMetadataImage` and `openScratch`
 */
export async function openEncoded(file: ChangedFile, path: string, dryRun: boolean): Promise<EncodedSuper | undefined> {
  const form = await formOf(file)
  if (!form) return undefined
  if (file.kind !== 'file')
    throw new DdiError(
      'ERR_DDI_SPARSE_ENCODED',
      `${path} holds an Android image that is not stored as it is: on a block device it cannot be changed`,
    )
  if (dryRun) return triedOn(form)
  const real = await realpath(path)
  const scratch = await openScratch(real)
  const open: AsyncDisposable[] = [scratch]
  const close = async () => {
    for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]()
  }
  try {
    const store = await createFile(`${scratch.prefix}.written`, form.source.size)
    open.push(store)
    const target = overlayTarget(form.source, endingAt(store, form.end))
    const changed = () =>
      writeNewFile(
        real,
        0,
        async (to) => {
          await form.encode(target, to)
          await own(to, real)
          // Whoever opens the path from now on finds it locked as before.
          open.push(await openFileForWriting(pathOf(to)))
        },
        { replace: true },
      )
    return { form: form.form, target, changed, close }
  } catch (error) {
    await close()
    throw error
  }
}

function triedOn({ form, source, end }: Form): EncodedSuper {
  return { form, target: endingAt(memoryOverlay(source), end), changed: async () => {}, close: async () => {} }
}

async function formOf(file: Source): Promise<Form | undefined> {
  if (await isMetadataImage(file)) return await metadataForm(file)
  return (await isSparse(file)) ? await sparseForm(file) : undefined
}

async function sparseForm(file: Source): Promise<Form> {
  const source = await openSparse(file)
  await source.verify()
  const { blockSize } = source
  const inBlocks = ({ start, length }: Run) => {
    const first = start - (start % blockSize)
    return { start: first, length: alignUp(start + length, blockSize) - first }
  }
  return {
    form: 'sparse',
    source,
    encode(changed, to) {
      const runs = [...source.written, ...changed.written.map(inBlocks)]
      return encodeSparse(changed, to, { blockSize, written: mergeRuns(runs.sort((a, b) => a.start - b.start)) })
    },
  }
}

async function metadataForm(file: Source): Promise<Form> {
  const read = await readMetadataImage(file)
  const { geometry } = read
  return {
    form: 'metadata',
    source: superOf(read),
    end: metadataEnd(geometry),
    async encode(changed, to) {
      await to.write(0, encodeMetadataImage(geometry, (await readSuper(changed)).metadata))
    },
  }
}

/** A super_empty.img stands for a device, and has the bytes of its metadata alone. */
function endingAt(store: Target, end = store.size): Target {
  return {
    size: store.size,
    read: (offset, length) => store.read(offset, length),
    async write(offset, bytes) {
      if (offset + bytes.length > end)
        throw new DdiError('ERR_DDI_USAGE', 'an image of metadata alone has no place for what a partition begins with')
      await store.write(offset, bytes)
    },
    flush: () => store.flush(),
  }
}

function pathOf({ fd }: FileTarget): string {
  return `/proc/self/fd/${fd}`
}

/** Gives a new file the owner and the mode of the one whose place it takes. */
async function own(file: FileTarget, like: string): Promise<void> {
  const { mode, uid, gid } = await stat(like)
  // Others than root keep what they make.
  await chown(pathOf(file), uid, gid).catch(() => undefined)
  await chmod(pathOf(file), mode & 0o7777)
}
