import { DdiError } from './errors.js'

/**
 * The time that everything in an image is given, so that the same input makes the same bytes.
 * @param given in seconds since 1970; undefined: that of SOURCE_DATE_EPOCH
 * @returns null if there is neither
 * @throws ERR_DDI_USAGE
 */
export function settledEpoch(given: number | undefined): number | null {
  if (given !== undefined) {
    if (!Number.isSafeInteger(given) || given < 0)
      throw new DdiError('ERR_DDI_USAGE', `invalid epoch ${given}: must be whole seconds since 1970`)
    return given
  }
  const fromEnvironment = process.env['SOURCE_DATE_EPOCH']
  if (!fromEnvironment) return null
  if (!/^\d{1,15}$/.test(fromEnvironment))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `invalid SOURCE_DATE_EPOCH ${JSON.stringify(fromEnvironment)}: must be whole seconds since 1970`,
    )
  return Number(fromEnvironment)
}
