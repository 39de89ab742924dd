// The files that a build leaves: the image, and one for each partition that is split off.
import { copy } from '../bytes/copy.js'
import { extentSource, extentTarget, linear } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { writeNewFile } from '../bytes/new-file.js'
import { encodeNewDisk } from '../gpt/create.js'
import type { Gpt } from '../gpt/table.js'
import { type BuildContext, workOn } from './context.js'
import type { FileContents } from './draft.js'
import type { ProtectedDraft } from './protect.js'
import { grain } from './shares.js'

interface Part {
  readonly label: string
  /** Where its contents begin in the image, in bytes. */
  readonly start: number
  readonly contents: FileContents
}

/**
 * Writes the image, all or nothing. The largest file that the build made is not copied if the file system can move it to its place.
 * @param size in bytes
 * @throws ERR_DDI_EXISTS, ERR_DDI_NO_SPACE, ERR_DDI_IO, ERR_DDI_ABORTED
 */
export async function assemble(
  drafts: readonly ProtectedDraft[],
  table: Gpt,
  size: number,
  context: BuildContext,
): Promise<void> {
  const parts = drafts.flatMap(({ label, contents, runs }): Part[] =>
    contents.kind === 'file' ? [{ label, start: runs[0]!.start, contents }] : [],
  )
  const moved = largestMovable(parts)
  await writeNewFile(
    context.output,
    size,
    async (target, isMoved) => {
      for (const { label, start, contents } of parts) {
        if (isMoved && contents === moved?.contents) continue
        await using file = await openFile(contents.path)
        const place = extentTarget(target, linear([{ start, length: file.size }]))
        await copy(file, place, { sparse: true, ...workOn(label, context) })
      }
      for (const { offset, bytes } of encodeNewDisk(table, size)) await target.write(offset, bytes)
    },
    { replace: context.replace, around: moved && { path: moved.contents.path, start: moved.start } },
  )
}

function largestMovable(parts: readonly Part[]): Part | undefined {
  return parts
    .filter(({ contents }) => contents.isTemporary && contents.size % grain === 0)
    .reduce<Part | undefined>((best, one) => (best && best.contents.size >= one.contents.size ? best : one), undefined)
}

/** The path of the file that a partition is split off into; null if there is none. */
export function splitPath({ definition: { splitName } }: ProtectedDraft, output: string): string | null {
  return splitName === null ? null : `${output.replace(/\.raw$/, '')}.${splitName}.raw`
}

/** Copies each partition that has a split path out of the finished image. @throws as {@link assemble} */
export async function splitOff(drafts: readonly ProtectedDraft[], context: BuildContext): Promise<void> {
  const { output, replace } = context
  await using image = await openFile(output)
  for (const draft of drafts) {
    const path = splitPath(draft, output)
    if (path === null) continue
    const source = extentSource(image, linear(draft.runs))
    await writeNewFile(
      path,
      draft.size,
      (target) => copy(source, target, { sparse: true, ...workOn(draft.label, context) }),
      { replace },
    )
  }
}
