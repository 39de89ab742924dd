import { createHmac } from 'node:crypto'
import { formatUuid, parseUuid } from '../uuid.js'

// The rules are systemd-repart’s (src/partition/repart.c), so that the same seed gives the same UUIDs.

function keyed(key: string, ...message: readonly (string | Uint8Array)[]): Buffer {
  const hmac = createHmac('sha256', parseUuid(key)!)
  for (const part of message) hmac.update(part)
  return hmac.digest()
}

/** A digest as a UUIDv4. */
function asUuid(digest: Buffer): string {
  digest[6] = (digest[6]! & 0x0f) | 0x40
  digest[8] = (digest[8]! & 0x3f) | 0x80
  return formatUuid(digest)
}

/** The UUID derived from a word: `disk-uuid` with the seed as key, `file-system-uuid` with a partition’s UUID. */
export function derivedUuid(seed: string, word: string): string {
  return asUuid(keyed(seed, word))
}

/** The UUID of a partition’s file system; FAT has its first half. */
export function fileSystemUuid(partition: string): string {
  return derivedUuid(partition, 'file-system-uuid')
}

/** The UUID of a partition’s LUKS header. */
export function luksUuid(partition: string): string {
  return derivedUuid(partition, 'luks-uuid')
}

/**
 * The UUID of a partition.
 * @param earlier how many partitions of the same type come before it
 */
export function partitionUuid(seed: string, typeUuid: string, earlier: number): string {
  const counter = Buffer.alloc(earlier > 0 ? 8 : 0)
  if (earlier > 0) counter.writeBigUInt64LE(BigInt(earlier))
  return asUuid(keyed(seed, parseUuid(typeUuid)!, counter))
}

/** The salt of hash trees, 32 bytes. */
export function veritySalt(seed: string): Uint8Array {
  return keyed(seed, 'verity-salt')
}
