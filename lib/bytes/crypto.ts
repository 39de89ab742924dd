// Loading node:crypto takes longer than reading a table does: it is loaded where it is used first.
import type crypto from 'node:crypto'

export function nodeCrypto(): typeof crypto {
  return process.getBuiltinModule('node:crypto')
}
