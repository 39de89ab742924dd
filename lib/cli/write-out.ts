import { encodeSparse } from '../android/sparse.js'
import { copy } from '../bytes/copy.js'
import { writeNewFile } from '../bytes/new-file.js'
import type { Run, Source } from '../bytes/source.js'
import { progressBar } from './progress.js'

export interface WriteOutOptions {
  /** As an Android sparse image. */
  readonly sparse: boolean
  readonly force: boolean
  /** Which bytes of the source to write into a sparse image. Default: all. */
  readonly written?: readonly Run[]
  /** Paths of what the source is read from: none is replaced. */
  readonly from: readonly string[]
  readonly signal: AbortSignal
}

/** Writes bytes to a new file, with a progress bar. */
export async function writeOut(source: Source, path: string, title: string, options: WriteOutOptions): Promise<void> {
  const { sparse, force, written, from, signal } = options
  const bar = await progressBar(title)
  const progress = { signal, onProgress: bar.update }
  await writeNewFile<unknown>(
    path,
    sparse ? 0 : source.size,
    (target) =>
      sparse
        ? encodeSparse(source, target, { ...progress, ...(written && { written }) })
        : copy(source, target, { sparse: true, ...progress }),
    { replace: force, from },
  ).finally(() => bar.stop())
}
