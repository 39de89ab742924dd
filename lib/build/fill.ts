import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { systemError } from '../errors.js'
import type { Bytes, FileContents, PendingFileSystem, PendingStream } from './contents.js'
import type { BuildContext } from './context.js'
import { encrypt } from './encrypt.js'
import { makeFileSystem } from './file-system.js'
import type { PlacedDraft } from './layout.js'
import { overhead } from './wishes.js'

/**
 * Makes the file systems that are as large as their partitions, and encrypts what is to be.
 * @throws ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function fill(
  drafts: readonly PlacedDraft[],
  context: BuildContext,
): Promise<readonly PlacedDraft<Bytes>[]> {
  const filled: PlacedDraft<Bytes>[] = []
  for (const draft of drafts) filled.push({ ...draft, contents: await settledContents(draft, context) })
  return filled
}

async function settledContents(draft: PlacedDraft, context: BuildContext): Promise<Bytes> {
  const plain = await plainContents(draft, context)
  return draft.definition.encrypt && !draft.there ? await encrypt(plain, draft, context) : plain
}

async function plainContents(
  { contents, contentsPath, size, definition }: PlacedDraft,
  context: BuildContext,
): Promise<Bytes> {
  const room = size - overhead(definition)
  switch (contents.kind) {
    case 'file-system':
      return await madeFileSystem(contents, room, context)
    case 'stream':
      return await readStream(contents, contentsPath, room, context)
    case 'file':
    case 'none':
      return contents
  }
}

async function madeFileSystem(
  { fileSystem }: PendingFileSystem,
  size: number,
  { signal }: BuildContext,
): Promise<FileContents> {
  await makeFileSystem(fileSystem, size, signal)
  return { kind: 'file', path: fileSystem.path, size, isTemporary: true }
}

async function readStream(
  { path: from }: PendingStream,
  path: string,
  size: number,
  { signal }: BuildContext,
): Promise<FileContents> {
  try {
    const bytes = createReadStream(from, { end: size - 1 })
    await pipeline(bytes, createWriteStream(path, { flags: 'wx' }), signal ? { signal } : {})
  } catch (error) {
    throw systemError(error, `cannot copy ${size} bytes of ${from}`)
  }
  return { kind: 'file', path, size, isTemporary: true }
}
