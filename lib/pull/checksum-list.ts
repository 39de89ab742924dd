import { posix } from 'node:path'

export interface ChecksumRow {
  /** In lower case. */
  readonly hash: string
  /** As it stands there, perhaps with directories. */
  readonly name: string
}

/**
 * The rows of a list of checksums that `sha256sum -c` takes: its own (`HASH  NAME`, `HASH *NAME`), and those of BSD tools and
 * OpenSSL (`SHA256 (NAME) = HASH`, `SHA2-256(NAME)= HASH`). Names with `\n`, `\r` and `\\` in them are marked by a backslash before the row.
 */
export function checksumRows(text: string): readonly ChecksumRow[] {
  return text
    .replace(/^\ufeff/, '')
    .split('\n')
    .flatMap(rowOf)
}

function rowOf(line: string): readonly ChecksumRow[] {
  const [, mark, row] = /^[ \t]*(\\?)(.*?)\r?$/s.exec(line)!
  const [, hash, own] = /^([0-9a-f]{64})[ \t][ *]?(.+)$/is.exec(row!) ?? []
  const [, bsdName, bsdHash] = /^SHA(?:2-)?256 ?\((.+)\)[ \t]*=[ \t]*([0-9a-f]{64})[ \t]*$/is.exec(row!) ?? []
  const name = own ?? bsdName
  if (name === undefined) return []
  const plain = mark === '' ? name : unescaped(name)
  return plain === undefined ? [] : [{ hash: (hash ?? bsdHash)!.toLowerCase(), name: plain }]
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', '\\': '\\' }

/** @returns undefined if something else is escaped */
function unescaped(name: string): string | undefined {
  if (/\\(?![nr\\])/.test(name.replace(/\\\\/g, ''))) return undefined
  return name.replace(/\\(.)/g, (_, escaped: string) => escapes[escaped]!)
}

/**
 * Finds the SHA-256 of a file in a list of checksums.
 * @param name without directories; a name in the list may have some, if all that end so have the same hash
 * @returns in lower case; undefined if it is not in the list, or with different hashes
 */
export function findChecksum(text: string, name: string): string | undefined {
  const rows = checksumRows(text)
  const exact = rows.filter((row) => posix.normalize(row.name) === name)
  const [only, second] = new Set(
    (exact.length > 0 ? exact : rows.filter((row) => posix.basename(row.name) === name)).map((row) => row.hash),
  )
  return second === undefined ? only : undefined
}
