import { DdiError } from '../errors.js'
import type { Source } from './source.js'

/** Bytes in memory as a source; they are not copied. */
export function memorySource(bytes: Uint8Array): Source {
  return {
    size: bytes.length,
    async read(offset, length) {
      if (offset + length > bytes.length)
        throw new DdiError('ERR_DDI_SHORT_READ', `bytes ${offset} to ${offset + length} of ${bytes.length} asked for`)
      return bytes.subarray(offset, offset + length)
    },
  }
}
