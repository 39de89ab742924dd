import { createHash } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { readOwn } from './own-file.js'
import type { FileState } from './transport.js'

/** What the bytes of a partial download belong to. */
export interface PartialState extends FileState {
  /** The boot that wrote them. */
  readonly boot: unknown
  /** The SHA-256 that the whole file was to have; undefined if that was not known. */
  readonly sha256: unknown
}

/** NAME_MAX of Linux, without the dots, the mark and the longest ending of what lies beside a download. */
const longestName = 255 - '..0123456789abcdef.state.new'.length

/**
 * The path of what lies beside a download, without endings. Addresses that differ in their query alone are of one file: there may be a
 * signature in it, which is another one each time.
 * @param path what is being pulled
 */
export function pathBeside(path: string, { origin, protocol, pathname }: URL): string {
  const name = basename(path)
  const isShort = Buffer.byteLength(name) <= longestName
  const address = `${origin === 'null' ? `${protocol}//` : origin}${pathname}`
  const mark = createHash('sha256')
    .update(isShort ? address : `${address}\0${name}`)
    .digest('hex')
    .slice(0, 16)
  return join(dirname(path), `.${isShort ? name : shortened(name)}.${mark}`)
}

/** The beginning of a name, in whole characters. */
function shortened(name: string): string {
  let [short, length] = ['', 0]
  for (const character of name) {
    length += Buffer.byteLength(character)
    if (length > longestName) break
    short += character
  }
  return short
}

/** @returns null if there is none of ours */
export async function readState(path: string): Promise<PartialState | null> {
  try {
    const { size, validator, boot, sha256 } = JSON.parse((await readOwn(path)) ?? '') as Readonly<
      Record<string, unknown>
    >
    if (validator !== null && typeof validator !== 'string') return null
    if (size !== null && !Number.isSafeInteger(size)) return null
    return { size: size as number | null, validator, boot, sha256 }
  } catch {
    // Missing, or torn by a power cut: the download begins again.
    return null
  }
}

/**
 * Whether what is here can be continued.
 * @param sha256 that the file has to have, if that is known: then no power cut matters, which may have taken bytes of an earlier boot
 */
export function isUsable(state: PartialState, sha256: string | undefined, boot: string): boolean {
  if (sha256 === undefined) return state.boot === boot && state.validator !== null
  return state.sha256 === undefined ? state.validator !== null : state.sha256 === sha256
}
