/** Of a structure of OEM strings: DMTF DSP0134, section 7.12. */
const oemStrings = 11
const headerSize = 4

/**
 * The strings of a structure of SMBIOS: they follow its formatted area, each with a zero at its end.
 * @param bytes the structure with its strings, as in /sys/firmware/dmi/entries/11-0/raw
 * @returns none if it is another structure, or malformed
 */
export function parseOemStrings(bytes: Uint8Array): readonly Buffer[] {
  const [type, length = 0] = bytes
  if (type !== oemStrings || length < headerSize || length > bytes.length) return []
  const found: Buffer[] = []
  for (let at = length; at < bytes.length; ) {
    const zero = bytes.indexOf(0, at)
    const end = zero < 0 ? bytes.length : zero
    if (end > at) found.push(Buffer.from(bytes.subarray(at, end)))
    at = end + 1
  }
  return found
}
