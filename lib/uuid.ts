import { fromHexadecimal, toHexadecimal } from './hexadecimal.js'

/** That of what has none. */
export const nilUuid = '00000000-0000-0000-0000-000000000000'

/** Lower-case text of a UUID whose 16 bytes are in the order of RFC 9562 (big-endian). */
export function formatUuid(bytes: Uint8Array): string {
  const hex = toHexadecimal(bytes.subarray(0, 16))
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Swaps between RFC 9562's byte order and GPT's, which keeps the first three fields little-endian (UEFI, appendix A). */
export function swapUuidEndianness(bytes: Uint8Array): Uint8Array {
  const swapped = Uint8Array.from(bytes.subarray(0, 16))
  swapped.subarray(0, 4).reverse()
  swapped.subarray(4, 6).reverse()
  swapped.subarray(6, 8).reverse()
  return swapped
}

/** The 16 bytes of a UUID's text, in the order of RFC 9562; undefined if it is not a UUID. */
export function parseUuid(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return undefined
  return fromHexadecimal(text.replaceAll('-', ''))
}
