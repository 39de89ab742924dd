import { isRecognizable, type OpenAnswer, type PartRequest } from './answer.js'
import type { Batch } from './batches.js'
import { getPatiently, type Server, withoutBreaks } from './resume.js'
import type { Download } from './transport.js'

/** What each of several connections requests at once, in bytes. */
export const segmentSize = 8 * 1024 * 1024

/**
 * Begins a download from a server.
 * @param request for all of the file from its first byte on
 * @param connections how many parts come at once, if the server supports ranges
 * @throws as {@link getPatiently}
 */
export async function downloadFrom(server: Server, request: PartRequest, connections: number): Promise<Download> {
  const { from } = request
  let first = await getPatiently(server, { ...request, until: connections > 1 ? from + segmentSize : null })
  // A part of a file whose end is not known does not help.
  if (connections > 1 && first.size === null && first.end !== null) {
    first.cancel()
    first = await getPatiently(server, request)
  }
  const { start, end, size, validator } = first
  const bytes =
    size === null || end === null || end === size || !isRecognizable({ ...request, validator })
      ? withoutBreaks(server, { ...request, from: start, until: size, size, validator }, first)
      : inSegments(server, request, { ...first, size, end }, connections)
  return { start, size, validator, bytes }
}

/** An answer that says how much of how much it has. */
type PartialAnswer = OpenAnswer & { readonly size: number; readonly end: number }

/** All bytes from where `first` starts, in order; parts of them come at once, and wait in memory. */
async function* inSegments(
  server: Server,
  request: PartRequest,
  first: PartialAnswer,
  connections: number,
): AsyncGenerator<Batch> {
  const { size, validator } = first
  const collect = async (from: number, until: number, answer?: OpenAnswer) => {
    const batches: Batch[] = []
    for await (const batch of withoutBreaks(server, { ...request, from, until, size, validator }, answer))
      batches.push(batch)
    return batches
  }
  let at = first.end
  const coming = [collect(first.start, at, first)]
  for (let segment = coming.shift(); segment; segment = coming.shift()) {
    for (; coming.length < connections - 1 && at < size; at = Math.min(at + segmentSize, size)) {
      const next = collect(at, Math.min(at + segmentSize, size))
      // Whoever waits for it gets its error; until then it is not an unhandled rejection.
      next.catch(() => {})
      coming.push(next)
    }
    yield* await segment
  }
}
