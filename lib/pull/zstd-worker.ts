// The thread that unpacks zstd. Each message brings memory, which goes back with the answer.
import { parentPort } from 'node:worker_threads'
import binding from 'zstd-napi/binding.js'

export interface ZstdRequest {
  readonly output: Uint8Array
  readonly input: Uint8Array
}

export interface ZstdAnswer extends ZstdRequest {
  /** 0 where a frame is complete; null where its bytes are malformed. */
  readonly hint: number | null
  readonly produced: number
  readonly consumed: number
  readonly error: string
}

const context = new binding.DCtx()

function step({ output, input }: ZstdRequest): Omit<ZstdAnswer, keyof ZstdRequest> {
  try {
    const [hint, produced, consumed] = context.decompressStream(output, input)
    return { hint, produced, consumed, error: '' }
  } catch (error) {
    return { hint: null, produced: 0, consumed: 0, error: (error as Error).message }
  }
}

parentPort?.on('message', (request: ZstdRequest) => {
  const { output, input } = request
  const answer: ZstdAnswer = { ...step(request), output, input }
  parentPort?.postMessage(answer, [output.buffer as ArrayBuffer, input.buffer as ArrayBuffer])
})
