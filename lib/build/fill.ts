import type { BuildContext } from './context.js'
import type { Bytes } from './draft.js'
import { makeFileSystem } from './file-system.js'
import type { PlacedDraft } from './layout.js'

/**
 * Makes the file systems that are as large as their partitions.
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

async function settledContents({ contents, size }: PlacedDraft, { signal }: BuildContext): Promise<Bytes> {
  if (contents.kind !== 'file-system') return contents
  const { fileSystem } = contents
  await makeFileSystem(fileSystem, size, signal)
  return { kind: 'file', path: fileSystem.path, size, isTemporary: true }
}
