import { DdiError } from '../errors.js'

const header = 'sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md'

/**
 * The generations of what is in an image, by which shim revokes it: one list of those of its parts, each line once.
 * @param texts of `.sbat` sections; empty ones are fine
 * @throws ERR_DDI_USAGE if one is no such list
 */
export function mergeSbat(texts: readonly string[]): string {
  const lines = texts.map(sbatLines)
  const other = lines.find((one) => one.length > 0 && !one[0]!.startsWith('sbat,'))
  if (other)
    throw new DdiError('ERR_DDI_USAGE', `SBAT begins with a line of its version, not with ${JSON.stringify(other[0])}`)
  return [...new Set([header, ...lines.flatMap((one) => one.slice(1))])].map((line) => `${line}\n`).join('')
}

function sbatLines(text: string): string[] {
  return text
    .replace(/\0.*$/s, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
