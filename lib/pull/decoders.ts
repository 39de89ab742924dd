import type { DCtx } from 'zstd-napi/binding.js'
import { addon } from '../../bindings/addon.js'
import { DdiError } from '../errors.js'

/**
 * One step of a decoder.
 * @param last there is no more input than this
 * @returns whether the stream is complete so far, how many bytes were written, and how many were read
 */
export type Step = (
  output: Uint8Array,
  input: Uint8Array,
  last: boolean,
) => Promise<readonly [complete: boolean, produced: number, consumed: number]>

/** How much memory a decoder may take unless the caller allows more, in bytes: what xz -9 and zstd --long=27 need, and more. */
export const usualMemory = 128 * 1024 * 1024

/** What a decoder needs besides a dictionary, in bytes. */
const besideDictionary = 1024 * 1024

export function corrupt(compression: string, error: unknown): DdiError {
  return new DdiError(
    'ERR_DDI_PULL_COMPRESSION',
    `the ${compression} stream is corrupt or ends early: ${(error as Error).message}`,
    { cause: error },
  )
}

function needsMore(compression: string, maxMemory: number, cause?: unknown): DdiError {
  return new DdiError(
    'ERR_DDI_PULL_MEMORY',
    `the ${compression} stream was packed with a dictionary of more than the ${maxMemory} bytes of memory that are allowed for unpacking`,
    { cause },
  )
}

/** Frame after frame. @param maxMemory the largest window, in bytes */
export async function zstdDecoder(maxMemory: number): Promise<Step> {
  const { context, windowLogMax } = await zstdContext()
  context.setParameter(windowLogMax, Math.min(Math.max(Math.floor(Math.log2(maxMemory)), 10), 31))
  let isComplete = false
  return async (output, input, last) => {
    if (last) return [isComplete, 0, 0]
    try {
      const [hint, produced, consumed] = context.decompressStream(output, input)
      isComplete = hint === 0
      return [isComplete, produced, consumed]
    } catch (error) {
      throw /too much memory/.test((error as Error).message)
        ? needsMore('zstd', maxMemory, error)
        : corrupt('zstd', error)
    }
  }
}

/** Not that of Node.js, which takes the end of the first frame for that of the file: 24.21 ends pzstd’s before the first byte. */
async function zstdContext(): Promise<{ readonly context: DCtx; readonly windowLogMax: number }> {
  try {
    const { default: binding } = await import('zstd-napi/binding.js')
    return { context: new binding.DCtx(), windowLogMax: binding.DParameter.windowLogMax }
  } catch (error) {
    throw new DdiError(
      'ERR_DDI_LIBRARY_MISSING',
      'zstd-napi cannot be loaded: run npm rebuild zstd-napi, which needs a compiler',
      { cause: error },
    )
  }
}

/** Results of lzma_code(), lzma/base.h. */
const lzmaErrors: Readonly<Record<number, string>> = {
  5: 'out of memory',
  7: 'not in its format',
  8: 'options that liblzma does not support',
  9: 'the data do not match their checksum',
}
const lzmaStreamEnd = 1
const lzmaMemoryLimit = 6

/** @param maxMemory the largest dictionary, in bytes */
export function lzmaDecoder(compression: 'xz' | 'lzma', maxMemory: number): Step {
  const decoder = addon().xzOpen(compression === 'lzma', usualMemory, maxMemory + besideDictionary)
  if (!decoder) throw new DdiError('ERR_DDI_LIBRARY_MISSING', 'liblzma is not installed: install liblzma5')
  let isComplete = false
  return async (output, input, last) => {
    if (isComplete && input.length > 0) throw corrupt(compression, new Error('something follows its end'))
    if (isComplete) return [true, 0, 0]
    const [result, produced, consumed] = await addon().xzDecode(decoder, output, input, last)
    if (result === lzmaMemoryLimit) throw needsMore(compression, maxMemory)
    const wrong = lzmaErrors[result]
    if (wrong !== undefined) throw corrupt(compression, new Error(wrong))
    isComplete = result === lzmaStreamEnd
    return [isComplete, produced, consumed]
  }
}

/** Frame after frame. */
export function lz4Decoder(): Step {
  const decoder = addon().lz4Open()
  if (!decoder) throw new DdiError('ERR_DDI_LIBRARY_MISSING', 'liblz4 is not installed: install liblz4-1')
  let isComplete = false
  return async (output, input, last) => {
    if (last) return [isComplete, 0, 0]
    const [result, produced, consumed] = await addon().lz4Decode(decoder, output, input)
    if (typeof result === 'string') throw corrupt('lz4', new Error(result))
    isComplete = result === 0
    return [isComplete, produced, consumed]
  }
}
