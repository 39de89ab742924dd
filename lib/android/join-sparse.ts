import { clipRuns, mergeRuns } from '../bytes/runs.js'
import { checkRange, type Run, type Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import type { SparseSource } from './sparse.js'

/**
 * The image that sparse images are parts of: each defines some of it, and has don’t-care chunks for the rest. What several define
 * is that of the last, as simg2img writes them.
 * @throws ERR_DDI_SPARSE_FORMAT if their sizes differ
 */
export function joinSparse(
  parts: readonly [SparseSource, ...SparseSource[]],
): Source & { readonly written: readonly Run[] } {
  const { size } = parts[0]
  const odd = parts.find((part) => part.size !== size)
  if (odd)
    throw new DdiError(
      'ERR_DDI_SPARSE_FORMAT',
      `parts of one Android sparse image have its size, and these are of ${size} and ${odd.size} bytes`,
    )
  return {
    size,
    written: mergeRuns(parts.flatMap(({ written }) => written).sort((a, b) => a.start - b.start)),
    async read(offset, length) {
      checkRange(size, offset, length)
      const bytes = new Uint8Array(length)
      for (const part of parts)
        for (const run of clipRuns(part.written, offset, length))
          bytes.set(await part.read(run.start, run.length), run.start - offset)
      return bytes
    },
  }
}
