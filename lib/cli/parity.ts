import { fewestRoots, mostRoots } from '../verity/error-correction.js'
import type { ParityPlace } from '../verity/parity-file.js'
import { sizeOrZero, text, wholeNumber } from './values.js'
import { option, type ValuesOf } from './verb.js'

export const parityOptions = {
  fecDevice: option('--fec-device <file>', 'file or block device with the parity of error correction', text),
  fecOffset: option('--fec-offset <bytes>', 'where the parity begins in it', sizeOrZero, '0'),
  fecRoots: option('--fec-roots <count>', 'bytes of parity of each code', wholeNumber(fewestRoots, mostRoots), '2'),
}

/** The parity that options name. */
export function parityOf(options: ValuesOf<typeof parityOptions>): ParityPlace | undefined {
  const { fecDevice: path, fecOffset: offset, fecRoots: roots } = options
  return path === undefined ? undefined : { path, offset, roots }
}
