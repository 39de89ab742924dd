import type { BuildContext } from './context.js'
import type { Bytes, FileContents, PendingFileSystem } from './draft.js'
import { encrypt } from './encrypt.js'
import { makeFileSystem } from './file-system.js'
import { overhead, type PlacedDraft } from './layout.js'

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
  const { contents, definition } = draft
  const plain = contents.kind === 'file-system' ? await madeFileSystem(contents, draft, context) : contents
  return definition.encrypt && !draft.there ? await encrypt(plain, draft, context) : plain
}

async function madeFileSystem(
  { fileSystem }: PendingFileSystem,
  draft: PlacedDraft,
  { signal }: BuildContext,
): Promise<FileContents> {
  const size = draft.size - overhead(draft.definition)
  await makeFileSystem(fileSystem, size, signal)
  return { kind: 'file', path: fileSystem.path, size, isTemporary: true }
}
