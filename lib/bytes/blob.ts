import { DdiError } from '../errors.js'
import { checkRange, type Source } from './source.js'

/**
 * The bytes of a `Blob`: in a web page, of a `File` that its user chose. They are read as they are requested; reading throws ERR_DDI_IO if
 * the file changed since.
 */
export function blobSource(blob: Blob): Source {
  return {
    size: blob.size,
    async read(offset, length) {
      checkRange(blob.size, offset, length)
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer())
      } catch (error) {
        throw new DdiError('ERR_DDI_IO', `cannot read ${length} bytes from ${offset}: ${String(error)}`, {
          cause: error,
        })
      }
    },
  }
}
