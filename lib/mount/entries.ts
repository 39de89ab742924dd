import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import { DdiError } from '../errors.js'
import type { Root } from './root.js'

/** What a file of a tree is. */
export type FileKind = 'file' | 'folder' | 'link' | 'block-device' | 'character-device' | 'fifo' | 'socket'

/** A file of a tree, with what lstat(2) says of it. */
export interface TreeEntry {
  /** From the root of the tree, without a slash at the beginning. */
  readonly path: string
  readonly kind: FileKind
  /** Permissions, with the set-ID and sticky bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** In bytes. */
  readonly size: number
  /** Seconds since 1970. */
  readonly modified: number
  /** Where a link leads. */
  readonly target: string | null
}

/** How the files can be read: they are mounted, or were taken out by the tools of their file systems. */
export type TreeSource = { readonly kind: 'mount' } | { readonly kind: 'tool'; readonly tool: string }

/** The files of an image. */
export interface Tree {
  readonly source: TreeSource
  /** Opens files; links lead nowhere else. Owners and modes are only those of the image if it is mounted. */
  readonly root: Root
  /**
   * All files, as a mount shows them: directories before what is in them, names in the order of their bytes.
   * @throws ERR_DDI_FILE_SYSTEM for names that are not UTF-8, ERR_DDI_PERMISSION for a volume that only a mount can read
   */
  entries(): AsyncGenerator<TreeEntry>
  /** @returns an extended attribute (`user.…`) of a file; undefined if it has none of that name */
  attribute(path: string, name: string): Promise<string | undefined>
  /** The places of volumes that only a mount can read: paths from the root of the tree. */
  readonly unread: readonly string[]
}

/** The files that a tool took out of a file system. */
export interface ExtractedFiles {
  /**
   * Lists the files as lstat(2) would if the file system were mounted; those that were extracted have other owners and modes.
   * @returns all of them, and the root as ''
   * @throws ERR_DDI_FILE_SYSTEM for names that cannot be listed exactly, ERR_DDI_TOOL
   */
  list(): Promise<readonly TreeEntry[]>
  /** @returns an extended attribute (`user.…`) of a file; undefined if it has none of that name */
  attribute(path: string, name: string): Promise<string | undefined>
}

/** The types of inode(7). */
const kinds: ReadonlyMap<number, FileKind> = new Map([
  [constants.S_IFIFO, 'fifo'],
  [constants.S_IFCHR, 'character-device'],
  [constants.S_IFDIR, 'folder'],
  [constants.S_IFBLK, 'block-device'],
  [constants.S_IFREG, 'file'],
  [constants.S_IFLNK, 'link'],
  [constants.S_IFSOCK, 'socket'],
])

/** @param mode as in an inode @throws ERR_DDI_FILE_SYSTEM for a mode of no type */
export function fileKind(mode: number, path: string): FileKind {
  const kind = kinds.get(mode & constants.S_IFMT)
  if (!kind)
    throw new DdiError('ERR_DDI_FILE_SYSTEM', `${JSON.stringify(path)} has no file type: mode ${mode.toString(8)}`)
  return kind
}

/**
 * Decodes a name or the target of a link. One that is not UTF-8 has no exact text.
 * @throws ERR_DDI_FILE_SYSTEM
 */
export function nameText(bytes: Uint8Array, directory: string): string {
  if (isUtf8(bytes)) return Buffer.from(bytes).toString('utf8')
  throw new DdiError(
    'ERR_DDI_FILE_SYSTEM',
    `${JSON.stringify(`/${directory}`)} has a name or link that is not UTF-8: ${JSON.stringify(Buffer.from(bytes).toString('latin1'))}`,
  )
}

/**
 * Sorts entries as a walk finds them: directories before what is in them, names in the order of their bytes.
 * @throws ERR_DDI_FILE_SYSTEM for a path that occurs twice
 */
export function inWalkOrder(entries: readonly TreeEntry[]): TreeEntry[] {
  const sorted = entries
    // No name has a zero byte: it sorts what is in a directory before the directory's next sibling.
    .map((entry) => ({ entry, key: Buffer.from(entry.path.replaceAll('/', '\0')) }))
    .sort((a, b) => Buffer.compare(a.key, b.key))
    .map(({ entry }) => entry)
  const twin = sorted.find(({ path }, index) => index > 0 && sorted[index - 1]!.path === path)
  if (twin) throw new DdiError('ERR_DDI_FILE_SYSTEM', `${JSON.stringify(twin.path)} occurs twice in the file system`)
  return sorted
}

/** @param directory '' for the root */
export function isWithin(path: string, directory: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`)
}
