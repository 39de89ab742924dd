import { note } from './output.js'

/**
 * Says that a size is not the one that was asked for.
 * @param name of what has it
 * @param unit what sizes are multiples of, in bytes, where that is known
 */
export function noteRounded(name: string, requested: number | null, size: number, unit?: number): void {
  if (requested === null || requested === size) return
  const way = size > requested ? 'up' : 'down'
  const why = unit === undefined ? '' : `, a multiple of ${digits(unit)}`
  note(`${name}: ${digits(requested)} bytes are rounded ${way} to ${digits(size)}${why}`)
}

function digits(bytes: number): string {
  return bytes.toLocaleString('en-US')
}
