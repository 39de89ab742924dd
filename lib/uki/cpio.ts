import { concatSources } from '../bytes/concat.js'
import { memorySource } from '../bytes/memory.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'

interface Entry {
  /** Relative to the root of the archive: `usr/bin/node`. */
  readonly path: string
  /** The permission bits. */
  readonly mode: number
}

/** A file of an archive. */
export type CpioEntry = Entry &
  (
    | { readonly kind: 'directory' }
    | { readonly kind: 'file'; readonly content: Source }
    | { readonly kind: 'link'; readonly target: string }
    | { readonly kind: 'character-device'; readonly major: number; readonly minor: number }
  )

/** S_IF… of <sys/stat.h>. */
const fileTypes = { directory: 0o040000, file: 0o100000, link: 0o120000, 'character-device': 0o020000 } as const

const headerSize = 110
const alignment = 4
const trailer = 'TRAILER!!!'
/** Every field of a header is eight hexadecimal digits. */
const largestField = 0xffffffff

/**
 * A newc archive, as the kernel unpacks it: Documentation/driver-api/early-userspace/buffer-format.rst. All files belong to
 * root, and the same entries make the same bytes, in whatever order they come. What it holds is read as the archive is.
 * @param epoch of all files, in seconds since 1970
 * @throws ERR_DDI_USAGE if a path is there twice, or a size is more than the format can express
 */
export function cpioArchive(entries: readonly CpioEntry[], epoch: number): Source {
  // A directory sorts before what it holds: the kernel makes none by itself.
  const sorted = [...entries].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
  const twice = sorted.find(({ path }, index) => path === sorted[index + 1]?.path)
  if (twice) throw new DdiError('ERR_DDI_USAGE', `an initrd cannot have ${twice.path} twice`)
  const parts = sorted.flatMap((entry, index) => member(entry, index + 1, epoch))
  const end = header(trailer, { inode: 0, mode: 0, links: 1, epoch: 0, size: 0, major: 0, minor: 0 })
  return concatSources([...parts, memorySource(end)])
}

function member(entry: CpioEntry, inode: number, epoch: number): Source[] {
  const content = contentOf(entry)
  const { major, minor } = entry.kind === 'character-device' ? entry : { major: 0, minor: 0 }
  const fields = {
    inode,
    mode: fileTypes[entry.kind] | entry.mode,
    links: entry.kind === 'directory' ? 2 : 1,
    epoch,
    size: content.size,
    major,
    minor,
  }
  const padding = -content.size & (alignment - 1)
  return [memorySource(header(entry.path, fields)), content, memorySource(new Uint8Array(padding))].filter(
    ({ size }) => size > 0,
  )
}

function contentOf(entry: CpioEntry): Source {
  if (entry.kind === 'file') return entry.content
  return memorySource(entry.kind === 'link' ? Buffer.from(entry.target) : new Uint8Array())
}

interface Fields {
  readonly inode: number
  readonly mode: number
  readonly links: number
  readonly epoch: number
  readonly size: number
  readonly major: number
  readonly minor: number
}

/** A header with the name behind it, padded. */
function header(path: string, { inode, mode, links, epoch, size, major, minor }: Fields): Uint8Array {
  const name = Buffer.from(path)
  const fields = [inode, mode, 0, 0, links, epoch, size, 0, 0, major, minor, name.length + 1, 0]
  const large = fields.find((field) => field > largestField)
  if (large !== undefined)
    throw new DdiError('ERR_DDI_USAGE', `${path} does not fit into a cpio archive: ${large} is over ${largestField}`)
  const text = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
  const length = headerSize + name.length + 1
  const bytes = Buffer.alloc(length + (-length & (alignment - 1)))
  bytes.write(text, 'latin1')
  bytes.set(name, headerSize)
  return bytes
}
