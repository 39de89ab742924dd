import type { TreeEntry } from '../../mount/entries.js'
import { digestFile } from '../../mount/files.js'
import { withTree } from '../../mount/tree.js'
import { inOwnNamespace } from '../namespace.js'
import { noteSource } from '../notes.js'
import { imageArgument, treeOptions, treeWork } from '../options.js'
import { print, printJson } from '../output.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'print a manifest of all files of an image with their SHA-256: mtree(5)',
  arguments: [imageArgument],
  options: treeOptions,
  examples: ['ddi-attach digest image.raw > image.mtree'],
  async run([path], options) {
    await inOwnNamespace(async () => {
      const work = await treeWork(options)
      await withTree(path, work, async (tree) => {
        noteSource(tree.source)
        const entries: (TreeEntry & { sha256: string | null })[] = []
        for await (const entry of tree.entries()) {
          const sha256 = entry.kind === 'file' ? await digestFile(tree, entry, { signal: work.signal }) : null
          if (options.json === 'off') print(manifestLine(entry, sha256))
          else entries.push({ ...entry, sha256 })
        }
        if (options.json !== 'off') printJson(entries, options.json)
      })
    })
  },
})

const manifestTypes = {
  file: 'file',
  folder: 'dir',
  link: 'link',
  'block-device': 'block',
  'character-device': 'char',
  fifo: 'fifo',
  socket: 'socket',
} as const

/** A line of a BSD mtree(5) manifest. */
function manifestLine({ path, kind, mode, uid, gid, size, target }: TreeEntry, sha256: string | null): string {
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
