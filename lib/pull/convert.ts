import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { openFile } from '../bytes/file.js'
import { openScratch } from '../bytes/scratch.js'
import { systemError } from '../errors.js'
import type { Batch } from './batches.js'
import type { PartialDownload } from './partial.js'
import { openQcow2, type Qcow2 } from './qcow2.js'
import { SparseWriter } from './sparse-writer.js'

/** Where a qcow2 image is held until all of it is here: its tables may lie at its end. */
export interface Holding {
  /** Where the bytes are stored anyhow, as they are. */
  readonly partial: PartialDownload | undefined
  /** The path of what is being pulled, if it is one. */
  readonly beside: string | undefined
}

/**
 * Holds a qcow2 image, and opens it for as long as it is used.
 * @throws ERR_DDI_NO_SPACE, ERR_DDI_PERMISSION, as {@link openQcow2}, and what `use` throws
 */
export async function withQcow2<Result>(
  batches: AsyncIterable<Batch>,
  { partial, beside }: Holding,
  use: (image: Qcow2) => Promise<Result>,
): Promise<Result> {
  if (partial) {
    for await (const _ of batches);
    await partial.settle()
    await using file = await openFile(partial.path)
    return await use(await openQcow2(file))
  }
  await using scratch = await openScratch(beside ?? join(process.env['TMPDIR'] || '/var/tmp', 'ddi-pull'))
  const path = `${scratch.prefix}.qcow2`
  await store(batches, path)
  await using file = await openFile(path)
  return await use(await openQcow2(file))
}

async function store(batches: AsyncIterable<Batch>, path: string): Promise<void> {
  await using handle = await open(path, 'wx', 0o600).catch((error: unknown) => {
    throw systemError(error, `cannot make ${path}`)
  })
  const writer = new SparseWriter(handle.fd, path, 0)
  try {
    for await (const batch of batches) await writer.write(batch, true)
  } finally {
    await writer.end()
  }
}
