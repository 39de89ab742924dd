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

/** Decodes frame after frame: the result is how many bytes a frame still expects, or an error in words. */
function frameDecoder(
  decode: (output: Uint8Array, input: Uint8Array) => Promise<[number | string, number, number]>,
  failed: (said: string) => DdiError,
): Step {
  let isComplete = false
  return async (output, input, last) => {
    if (last) return [isComplete, 0, 0]
    const [result, produced, consumed] = await decode(output, input)
    if (typeof result === 'string') throw failed(result)
    isComplete = result === 0
    return [isComplete, produced, consumed]
  }
}

export function lz4Decoder(): Step {
  const decoder = addon().lz4Open()
  if (!decoder) throw new DdiError('ERR_DDI_LIBRARY_MISSING', 'liblz4 is not installed: install liblz4-1')
  return frameDecoder(
    (output, input) => addon().lz4Decode(decoder, output, input),
    (said) => corrupt('lz4', new Error(said)),
  )
}

/**
 * Not that of Node.js: 20 has none, and those of 22 and 24 take the end of the first frame for that of the file, and end
 * pzstd’s before the first byte.
 * @param maxMemory the largest window, in bytes
 */
export function zstdDecoder(maxMemory: number): Step {
  const decoder = addon().zstdOpen(Math.min(Math.max(Math.floor(Math.log2(maxMemory)), 10), 31))
  if (!decoder) throw new DdiError('ERR_DDI_LIBRARY_MISSING', 'libzstd is not installed: install libzstd1')
  return frameDecoder(
    (output, input) => addon().zstdDecode(decoder, output, input),
    (said) => (/too much memory/.test(said) ? needsMore('zstd', maxMemory) : corrupt('zstd', new Error(said))),
  )
}
