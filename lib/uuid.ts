/** Lower-case text of a UUID whose 16 bytes are in the order of RFC 9562 (big-endian). */
export function formatUuid(bytes: Uint8Array): string {
  const hex = Array.from(bytes.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const mixedEndianOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const

/** Swaps between RFC 9562's byte order and GPT's, which keeps the first three fields little-endian (UEFI, appendix A). */
export function swapUuidEndianness(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(mixedEndianOrder, (index) => bytes[index]!)
}

/** The 16 bytes of a UUID's text, in the order of RFC 9562; undefined where it is not one. */
export function parseUuid(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return undefined
  return Uint8Array.from(Buffer.from(text.replaceAll('-', ''), 'hex'))
}
