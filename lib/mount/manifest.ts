import { checkOptions } from '../options.js'
import { type Work, workNames } from '../work.js'
import type { Tree, TreeEntry } from './entries.js'
import { digestFile } from './files.js'

/** A file of a tree, with what it holds. */
export interface DigestedEntry extends TreeEntry {
  /** SHA-256 in hexadecimal; null for all but regular files. */
  readonly sha256: string | null
}

/**
 * All files of a tree with their hashes, as {@link Tree.entries} lists them.
 * @throws as `Tree.entries` and `digestFile`
 */
export async function* digestTree(tree: Tree, work: Work = {}): AsyncGenerator<DigestedEntry> {
  checkOptions(work, workNames, 'digestTree')
  for await (const entry of tree.entries())
    yield { ...entry, sha256: entry.kind === 'file' ? await digestFile(tree, entry, work) : null }
}

const manifestTypes = {
  file: 'file',
  folder: 'dir',
  link: 'link',
  'block-device': 'block',
  'character-device': 'char',
  fifo: 'fifo',
  socket: 'socket',
} as const

/** What a manifest of BSD's mtree(5) says of a file: one line, without its end. */
export function formatManifestLine({ path, kind, mode, uid, gid, size, target, sha256 }: DigestedEntry): string {
  const fields = [
    `type=${manifestTypes[kind]}`,
    `mode=${mode.toString(8).padStart(4, '0')}`,
    `uid=${uid}`,
    `gid=${gid}`,
  ]
  if (kind === 'file') fields.push(`size=${size}`, `sha256digest=${sha256}`)
  if (target !== null) fields.push(`link=${quote(target)}`)
  return `./${quote(path)} ${fields.join(' ')}`
}

/** Bytes that would end a word, a line or an escape are written in octal. */
function quote(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      byte > 0x20 && byte < 0x7f && byte !== 0x5c && byte !== 0x23
        ? String.fromCharCode(byte)
        : `\\${byte.toString(8).padStart(3, '0')}`,
    )
    .join('')
}
