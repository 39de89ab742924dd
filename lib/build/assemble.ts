// The files that a build leaves: the image, and one for each partition that is split off.
import { copy, writeZeroes } from '../bytes/copy.js'
import { extentSource, extentTarget, linear } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { writeNewFile } from '../bytes/new-file.js'
import type { FreeRuns } from '../disk/disk.js'
import { DdiError } from '../errors.js'
import { encodeNewDisk } from '../gpt/create.js'
import { partitionTypeName } from '../gpt/dps-types.js'
import type { Gpt } from '../gpt/table.js'
import { plainCharacters } from '../text.js'
import { workOn } from '../work.js'
import { type FileContents, sourceOf } from './contents.js'
import type { BuildContext } from './context.js'
import type { ProtectedDraft } from './protect.js'

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
        const place = extentTarget(target, linear([{ start, length: contents.size }]))
        await copy(sourceOf(contents, file), place, { sparse: true, ...workOn(label, context) })
      }
      for (const { offset, bytes } of encodeNewDisk(table, size)) await target.write(offset, bytes)
    },
    {
      replace: context.replace,
      from: keptPaths(parts),
      around: moved && { path: moved.contents.path, start: moved.start },
    },
  )
}

/** Of files that are not of this build. */
function keptPaths(parts: readonly Part[]): readonly string[] {
  return parts.filter(({ contents }) => !contents.isTemporary).map(({ contents }) => contents.path)
}

/** What file systems move space of a file in, in bytes: at most that of most of them. */
const block = 4096

function largestMovable(parts: readonly Part[]): Part | undefined {
  return parts
    .filter(({ start, contents }) => contents.isTemporary && contents.size % block === 0 && start % block === 0)
    .reduce<Part | undefined>((best, one) => (best && best.contents.size >= one.contents.size ? best : one), undefined)
}

/**
 * Writes what new partitions of a disk hold to where they will be; what they do not hold reads as zeroes then.
 * @throws ERR_DDI_BUSY, ERR_DDI_IO, ERR_DDI_ABORTED
 */
export async function fillFree(
  drafts: readonly ProtectedDraft[],
  free: FreeRuns,
  context: BuildContext,
): Promise<void> {
  for (const { there, label, contents, runs, size } of drafts) {
    if (there) continue
    const target = free(runs)
    await writeZeroes(target, 0, size)
    if (contents.kind === 'none') continue
    await using file = await openFile(contents.path)
    await copy(sourceOf(contents, file), target, { sparse: true, ...workOn(label, context) })
  }
}

/**
 * The paths of the files that partitions are split off into; null for those with none.
 * @throws ERR_DDI_DEFINITION for a name that no file can have, or that two have
 */
export function splitPaths(drafts: readonly ProtectedDraft[], output: string): readonly (string | null)[] {
  const seen = new Set<string>()
  return drafts.map((draft) => {
    const { path } = draft.definition
    const name = splitName(draft)
    if (name === null) return null
    const refuse = (what: string) =>
      new DdiError('ERR_DDI_DEFINITION', `${path}: SplitName=: ${JSON.stringify(name)} ${what}`)
    if (!plainName.test(name)) throw refuse('cannot be part of a file name')
    if (seen.has(name)) throw refuse('is the name of another partition too')
    seen.add(name)
    return `${output.replace(/\.raw$/, '')}.${name}.raw`
  })
}

const plainName = new RegExp(`^${plainCharacters}+$`)

/** With the specifiers that only SplitName= has: type, UUID and number of the partition, counted from 0 as systemd-repart does. */
function splitName({ definition: { splitName, typeUuid }, uuid, numbers }: ProtectedDraft): string | null {
  const own = {
    t: partitionTypeName(typeUuid) ?? typeUuid,
    T: typeUuid.replaceAll('-', ''),
    U: uuid.replaceAll('-', ''),
    n: String(numbers[0]! - 1),
    '%': '%',
  }
  return splitName?.replace(/%([tTUn%])/g, (_, letter: keyof typeof own) => own[letter]) ?? null
}

/** Copies each partition that has a split path out of the finished image. @throws as {@link assemble} */
export async function splitOff(
  { partitions, paths }: { readonly partitions: readonly ProtectedDraft[]; readonly paths: readonly (string | null)[] },
  context: BuildContext,
): Promise<void> {
  const { output, replace } = context
  await using image = await openFile(output)
  for (const [index, draft] of partitions.entries()) {
    const path = paths[index]
    if (!path) continue
    const source = extentSource(image, linear(draft.runs))
    await writeNewFile(
      path,
      draft.size,
      (target) => copy(source, target, { sparse: true, ...workOn(draft.label, context) }),
      { replace },
    )
  }
}
