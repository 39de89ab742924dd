import type { Tree, TreeEntry } from '../../mount/entries.js'
import { digestFile } from '../../mount/files.js'
import { withTree } from '../../mount/tree.js'
import type { Work } from '../../work.js'
import { inOwnNamespace } from '../namespace.js'
import { noteSource } from '../notes.js'
import { imageArgument, treeOptions, treeWork } from '../options.js'
import { printList } from '../output.js'
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
        await printList(digested(tree, work), options.json, manifestLine, work)
      })
    })
  },
})

type DigestedEntry = TreeEntry & { readonly sha256: string | null }

async function* digested(tree: Tree, { signal }: Work): AsyncGenerator<DigestedEntry> {
  for await (const entry of tree.entries())
    yield { ...entry, sha256: entry.kind === 'file' ? await digestFile(tree, entry, { signal }) : null }
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

/** A line of a BSD mtree(5) manifest. */
function manifestLine({ path, kind, mode, uid, gid, size, target, sha256 }: DigestedEntry): string {
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
