import { DdiError, type ErrorCode } from '../errors.js'
import { fromHexadecimal } from '../hexadecimal.js'
import { formatUuid } from '../uuid.js'

/**
 * Parses a root hash in hexadecimal, sha256’s 64 digits or sha512’s 128.
 * @param code for the error; `ERR_DDI_ROOT_HASH_FILE` if the text comes with the image
 * @throws `code`
 */
export function parseRootHash(
  text: string,
  what = 'root hash',
  code: ErrorCode = 'ERR_DDI_ROOT_HASH_FORMAT',
): Uint8Array {
  const hex = text.trim()
  if (!/^[0-9a-f]*$/i.test(hex))
    throw new DdiError(code, `${what}: ${JSON.stringify(hex.slice(0, 200))} is not hexadecimal`)
  if (hex.length !== 64 && hex.length !== 128)
    throw new DdiError(code, `${what}: ${hex.length} hexadecimal digits; sha256 has 64, sha512 has 128`)
  return fromHexadecimal(hex)
}

/** The partition UUIDs that the Discoverable Partitions Specification derives from a root hash: its first and last 128 bits. */
export function rootHashUuids(rootHash: Uint8Array): { readonly data: string; readonly hash: string } {
  return { data: formatUuid(rootHash.subarray(0, 16)), hash: formatUuid(rootHash.subarray(-16)) }
}
