import { DdiError } from './errors.js'

const units = ['', 'K', 'M', 'G', 'T', 'P']

/**
 * Reads a new size: `2G` is absolute, `+1G` and `-1G` are relative to the current one.
 * @param current in bytes
 * @throws ERR_DDI_USAGE
 */
export function parseNewSize(text: string, current: number): number {
  if (text.startsWith('+')) return current + parseSize(text)
  if (!text.startsWith('-')) return parseSize(text)
  const size = current - parseSize(text.slice(1))
  if (size < 0) throw new DdiError('ERR_DDI_USAGE', `invalid size ${text}: there are only ${current} bytes`)
  return size
}

/**
 * Reads a size, with or without a leading `+`, as util-linux does: `4096`; `512K`, `1.5G` and `2GiB` in powers of 1024, `2GB` in
 * powers of 1000.
 * @returns bytes
 * @throws ERR_DDI_USAGE
 */
export function parseSize(text: string): number {
  const match = /^\+?(\d+(?:\.\d+)?)([KMGTP]?)(i?B)?$/i.exec(text)
  const base = match?.[3]?.length === 1 ? 1000 : 1024
  const bytes = match ? Number(match[1]) * base ** units.indexOf(match[2]!.toUpperCase()) : Number.NaN
  if (!Number.isSafeInteger(Math.round(bytes)) || bytes <= 0)
    throw new DdiError('ERR_DDI_USAGE', `invalid size ${JSON.stringify(text)}: write 4096, 512K, 1.5G, …`)
  return Math.round(bytes)
}
