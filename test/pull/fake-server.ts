import { DdiError } from '../../lib/index.js'
import type { OpenAnswer, PartRequest } from '../../lib/pull/answer.js'
import { type Batch, lengthOf } from '../../lib/pull/batches.js'
import type { Server } from '../../lib/pull/resume.js'

export const url = new URL('http://h/image.raw')
const broken = () => new DdiError('ERR_DDI_PULL_BROKEN', 'the connection broke')

/** How a server that is not there behaves. */
export interface Behaviour {
  readonly content: Buffer
  readonly ranges: boolean
  readonly sizeKnown?: boolean
  /** By the number of the request. */
  readonly validator?: (count: number) => string | null
  /** What it serves instead, by the number of the request. */
  readonly other?: (count: number) => Buffer | undefined
  /** After how many bytes the answer of a request breaks; 0: there is none. */
  readonly breaks?: (count: number) => number
}

export interface FakeServer extends Server {
  readonly requests: PartRequest[]
  readonly sleeps: number[]
  open: number
  /** Bytes that were taken of answers. */
  sent: number
}

export function fakeServer(behaviour: Behaviour, retries = 3): FakeServer {
  const {
    ranges,
    sizeKnown = true,
    validator = () => '"tag"',
    other = () => undefined,
    breaks = () => Number.POSITIVE_INFINITY,
  } = behaviour
  const sleeps: number[] = []
  const requests: PartRequest[] = []
  const fake: FakeServer = {
    requests,
    sleeps,
    open: 0,
    sent: 0,
    retries,
    retryTime: 0,
    signal: new AbortController().signal,
    clock: { now: () => 0, sleep: async (duration) => void sleeps.push(duration) },
    async get(request): Promise<OpenAnswer> {
      const count = requests.push(request)
      const most = breaks(count)
      if (most === 0) throw broken()
      const tag = validator(count)
      const isSame = request.verified || request.validator === null || request.validator === tag
      const isContinuing = request.from > 0 && (request.verified || request.validator !== null)
      const isPart = ranges && isSame && (request.until !== null || isContinuing)
      const content = other(count) ?? behaviour.content
      const start = isPart ? request.from : 0
      const end = isPart ? Math.min(request.until ?? content.length, content.length) : content.length
      fake.open++
      let isOpen = true
      return {
        start,
        end: sizeKnown || isPart ? end : null,
        size: sizeKnown ? content.length : null,
        validator: tag,
        bytes: counted(pieces(content.subarray(start, end), most)),
        cancel() {
          if (isOpen) fake.open--
          isOpen = false
        },
      }
    },
  }
  async function* counted(bytes: AsyncIterable<Batch>): AsyncGenerator<Batch> {
    for await (const batch of bytes) {
      fake.sent += lengthOf(batch)
      yield batch
    }
  }
  return fake
}

async function* pieces(bytes: Buffer, most: number): AsyncGenerator<Batch> {
  const step = 1000
  for (let at = 0; at < bytes.length; at += step) {
    if (at >= most) throw broken()
    yield [bytes.subarray(at, at + step / 4), bytes.subarray(at + step / 4, Math.min(at + step, most))]
  }
  if (bytes.length > most) throw broken()
}

export async function collect(bytes: AsyncIterable<Batch>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const batch of bytes) chunks.push(...batch)
  return Buffer.concat(chunks)
}
