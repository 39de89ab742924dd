import { linear } from '../block/extents.js'
import { type FileSource, openFile } from '../block/file.js'
import type { Run, Source } from '../block/source.js'
import { DdiError, type ErrorCode } from '../errors.js'
import { freeRuns } from '../gpt/allocate.js'
import { describeProblem, problemError } from '../gpt/read.js'
import { scanGpt } from '../gpt/scan.js'
import type { Copy } from '../gpt/table.js'
import { type Orphan, tableVolumes } from '../volume/extension.js'
import { nestedVolumes } from '../volume/nested.js'
import type { Volume } from '../volume/volume.js'

/** Which table an image has, and what is wrong with it that does not keep us from reading it. */
export type ImageTable =
  | { readonly type: 'gpt'; readonly uuid: string; readonly source: Copy; readonly problems: readonly TableProblem[] }
  | { readonly type: 'none'; readonly uuid: null; readonly source: null; readonly problems: readonly [] }

export interface TableProblem {
  readonly code: ErrorCode
  readonly message: string
}

/** An open image: its bytes, and the volumes that its table describes. Close it, or declare it with `await using`. */
export interface Image extends AsyncDisposable {
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** Of the table, in bytes; 512 where there is none. */
  readonly sectorSize: number
  readonly table: ImageTable
  /** In the table’s order, those of nested tables last; without a table, one volume that is the whole image, taken for a root file system. */
  readonly volumes: readonly Volume[]
  /** Extension partitions that no volume reaches. */
  readonly orphans: readonly Orphan[]
  /** The table’s free space, in runs that start on multiples of 1 MiB. */
  readonly free: readonly Run[]
  /** All the bytes that the extents of the volumes are of. */
  readonly source: Source
  /** The files and devices that hold those bytes, one behind the other; none for an encoding that has to be undone first. */
  readonly bases: readonly FileSource[]
  close(): Promise<void>
}

export interface OpenOptions {
  /** Looks for a GPT in every volume, not only in those whose type says that they hold one. Default: false. */
  readonly nested?: boolean
}

/**
 * Opens a disk image or block device and reads its table. Nothing is written, and no privileges are needed beyond
 * reading it.
 * @param path of a regular file or block device
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_IMAGE_KIND, ERR_DDI_IMAGE_EMPTY, and for a broken table the
 *   `ERR_DDI_GPT_…` code that says how
 */
export async function openImage(path: string, { nested = false }: OpenOptions = {}): Promise<Image> {
  const source = await openFile(path)
  const close = () => source.close()
  const image = { path, size: source.size, source, bases: [source], close, [Symbol.asyncDispose]: close }
  try {
    const scan = await scanGpt(source)
    if ('table' in scan) {
      const { table, copy } = scan
      const { volumes: outer, orphans } = tableVolumes(table)
      const inner = await nestedVolumes(source, outer, nested ? 'any' : 'typed')
      const volumes = [...outer, ...inner.volumes]
      const defects = volumes.flatMap(({ defect }) => (defect ? [{ code: defect.code, message: defect.message }] : []))
      const unread = inner.defects.map(({ volume, error }) => ({
        code: error.code,
        message: `nested in ${JSON.stringify(volume.label)} (${volume.uuid}): ${error.message}`,
      }))
      const problems = scan.problems.map((problem) => ({ code: problem.code, message: describeProblem(problem) }))
      return {
        ...image,
        sectorSize: table.sectorSize,
        table: { type: 'gpt', uuid: table.uuid, source: copy, problems: [...problems, ...defects, ...unread] },
        volumes,
        orphans,
        free: freeRuns(table),
      }
    }
    if (scan.code !== 'ERR_DDI_NO_TABLE') throw problemError(scan)
    return {
      ...image,
      sectorSize: 512,
      table: { type: 'none', uuid: null, source: null, problems: [] },
      volumes: [wholeImage(source.size)],
      orphans: [],
      free: [],
    }
  } catch (error) {
    await close()
    throw error
  }
}

function wholeImage(size: number): Volume {
  return {
    designator: 'root',
    architecture: null,
    uuid: null,
    typeUuid: null,
    label: null,
    flags: { readOnly: false, noAuto: false, growFileSystem: false },
    size,
    extents: linear([{ start: 0, length: size }]),
  }
}

/**
 * What the extents of an image's volumes are of.
 * @throws ERR_DDI_SPARSE_ENCODED for an Android sparse image, whose bytes do not lie in its file as they are
 */
export function requireBases({ path, bases }: Image): readonly [FileSource, ...FileSource[]] {
  const [first, ...others] = bases
  if (!first)
    throw new DdiError(
      'ERR_DDI_SPARSE_ENCODED',
      `${path} is an Android sparse image, which can be read, but neither attached nor changed: write it out with \`ddi-attach android convert\` first`,
    )
  return [first, ...others]
}
