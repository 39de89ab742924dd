import { constants } from 'node:fs'
import { readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { openFile } from '../bytes/file.js'
import { requireRoom, roomBeside } from '../bytes/room.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'
import { walkBounds } from './bounds.js'
import { type ExtractedFiles, fileKind, nameText, type TreeEntry } from './entries.js'

/**
 * Takes the files of an EROFS out of it with fsck.erofs. Its inodes are read here: no tool shows set-ID bits.
 * @param volume path of the file system
 * @param directory to create
 * @throws ERR_DDI_FILE_SYSTEM for names that no file can have, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function extractErofs(volume: string, directory: string, signal?: AbortSignal): Promise<ExtractedFiles> {
  // Version 1.5 follows a name like ../x out of the directory: all names are checked before.
  const found = await readEntries(volume, signal)
  const isFile = ({ mode }: Inode) => (mode & constants.S_IFMT) === constants.S_IFREG
  const bytes = found.reduce((sum, { inode }) => sum + (isFile(inode) ? inode.size : 0), 0)
  await requireRoom('what the EROFS holds', await roomBeside(directory), bytes)
  const command = ['fsck.erofs', '--no-preserve', `--extract=${directory}`, volume] as const
  await runTool({ command, package: 'erofs-utils' }, signal)
  // Its exit status is 0 despite a wrong checksum.
  if (!(await exists(directory))) throw damaged('fsck.erofs refuses it')
  return {
    async list() {
      const entries: TreeEntry[] = []
      for (const { path: bytes, inode } of found) {
        const { mode, uid, gid, size, modified } = inode
        const path = nameText(Buffer.from(bytes, 'latin1'), '')
        const kind = fileKind(mode, path)
        const target = kind === 'link' ? nameText(await readlink(join(directory, path), 'buffer'), path) : null
        entries.push({ path, kind, mode: mode & 0o7777, uid, gid, size, modified, target })
      }
      return entries
    },
    async attribute(path, name) {
      const bytes = Buffer.from(path).toString('latin1')
      const entry = found.find((one) => one.path === bytes)
      if (!entry) return undefined
      await using source = await openFile(volume)
      return await readAttribute(source, entry.inode, name)
    },
  }
}

// The kernel's fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst, "On-disk details".
const superblockOffset = 1024
const magic = 0xe0f5e1e2
/** Incompatible features that change nothing of what is read here: all up to prefixes of extended attributes. */
const knownFeatures = 0x7f
const slotSize = 32
const longFormat = 1
const layouts = { plain: 0, inline: 2 } as const

interface Superblock {
  readonly blockSize: number
  readonly rootNode: number
  /** In bytes; nodes are counted in slots of 32 bytes from here. */
  readonly metadataStart: number
  readonly sharedAttributes: number
  /** Seconds since 1970, for inodes that have no time of their own. */
  readonly built: number
}

interface Inode {
  readonly superblock: Superblock
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly modified: number
  readonly layout: number
  /** Where the whole blocks of its contents begin, in bytes. */
  readonly blocksStart: number
  /** Where its extended attributes begin, in bytes. */
  readonly attributesStart: number
  readonly attributesLength: number
}

interface Entry {
  /** Bytes (latin1). */
  readonly path: string
  readonly inode: Inode
}

function damaged(what: string): DdiError {
  return new DdiError('ERR_DDI_FILE_SYSTEM', `the EROFS is damaged, or of an unknown version: ${what}`)
}

async function readBytes(source: Source, start: number, length: number): Promise<Buffer> {
  if (!Number.isSafeInteger(start) || start + length > source.size) throw damaged(`nothing lies at byte ${start}`)
  const bytes = await source.read(start, length)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

async function readSuperblock(source: Source): Promise<Superblock> {
  const bytes = await readBytes(source, superblockOffset, 128)
  const features = bytes.readUInt32LE(80)
  const blockBits = bytes[12]!
  if (bytes.readUInt32LE(0) !== magic || blockBits < 9 || blockBits > 16 || bytes[90] !== 0)
    throw damaged('invalid superblock')
  if (features & ~knownFeatures) throw damaged(`features 0x${features.toString(16)}`)
  const blockSize = 2 ** blockBits
  return {
    blockSize,
    rootNode: bytes.readUInt16LE(14),
    metadataStart: bytes.readUInt32LE(40) * blockSize,
    sharedAttributes: bytes.readUInt32LE(44) * blockSize,
    built: Number(bytes.readBigInt64LE(24)),
  }
}

async function readInode(source: Source, superblock: Superblock, node: number): Promise<Inode> {
  const start = superblock.metadataStart + node * slotSize
  const short = await readBytes(source, start, slotSize)
  const format = short.readUInt16LE(0)
  const isLong = (format & longFormat) !== 0
  const bytes = isLong ? await readBytes(source, start, 2 * slotSize) : short
  const count = bytes.readUInt16LE(2)
  return {
    superblock,
    mode: bytes.readUInt16LE(4),
    uid: isLong ? bytes.readUInt32LE(24) : bytes.readUInt16LE(24),
    gid: isLong ? bytes.readUInt32LE(28) : bytes.readUInt16LE(26),
    size: isLong ? Number(bytes.readBigUInt64LE(8)) : bytes.readUInt32LE(8),
    modified: isLong ? Number(bytes.readBigInt64LE(32)) : superblock.built,
    layout: (format >> 1) & 7,
    blocksStart: bytes.readUInt32LE(16) * superblock.blockSize,
    attributesStart: start + bytes.length,
    attributesLength: count === 0 ? 0 : attributesHeader + (count - 1) * 4,
  }
}

/** All that is in an EROFS, its root with the path '' first. @throws ERR_DDI_FILE_SYSTEM, ERR_DDI_ABORTED */
async function readEntries(volume: string, signal: AbortSignal | undefined): Promise<readonly Entry[]> {
  await using file = await openFile(volume)
  const source = inWindows(file)
  const superblock = await readSuperblock(source)
  const entries: Entry[] = [{ path: '', inode: await readInode(source, superblock, superblock.rootNode) }]
  const bounds = walkBounds(signal)
  bounds.enter(superblock.rootNode, '')
  // Directories are read as they come up in the list, which grows by what is in them.
  for (const directory of entries) {
    if (!isDirectory(directory)) continue
    const names = new Set<string>()
    for await (const { name, node } of readDirectory(source, directory)) {
      const path = directory.path === '' ? name : `${directory.path}/${name}`
      bounds.count(path)
      if (names.has(name)) throw damaged(`${JSON.stringify(path)} occurs twice`)
      names.add(name)
      const entry = { path, inode: await readInode(source, superblock, node) }
      entries.push(entry)
      if (isDirectory(entry)) bounds.enter(node, path)
    }
  }
  return entries
}

function isDirectory({ inode }: Entry): boolean {
  return (inode.mode & constants.S_IFMT) === constants.S_IFDIR
}

const windowSize = 256 * 1024
const mostWindows = 64

/** Reads large pieces, and keeps the last of them: inodes are small and lie close together. */
function inWindows(source: Source): Source {
  const windows = new Map<number, Uint8Array>()
  const window = async (index: number) => {
    const found = windows.get(index)
    const start = index * windowSize
    const bytes = found ?? (await source.read(start, Math.min(windowSize, source.size - start)))
    windows.delete(index)
    windows.set(index, bytes)
    if (windows.size > mostWindows) windows.delete(windows.keys().next().value!)
    return bytes
  }
  return {
    size: source.size,
    async read(offset, length) {
      const index = Math.floor(offset / windowSize)
      const start = offset - index * windowSize
      if (start + length > windowSize) return await source.read(offset, length)
      return (await window(index)).subarray(start, start + length)
    },
  }
}

const recordSize = 12

async function* readDirectory(source: Source, { path, inode }: Entry) {
  const { superblock, size, layout, blocksStart, attributesStart, attributesLength } = inode
  const { blockSize } = superblock
  if (layout !== layouts.plain && layout !== layouts.inline) throw damaged(`directory layout ${layout}`)
  const blocks = Math.ceil(size / blockSize)
  for (let block = 0; block < blocks; block++) {
    const length = Math.min(blockSize, size - block * blockSize)
    const isTail = layout === layouts.inline && block === blocks - 1
    const start = isTail ? attributesStart + attributesLength : blocksStart + block * blockSize
    yield* parseDirectoryBlock(await readBytes(source, start, length), path)
  }
}

/**
 * Parses a block of a directory: records of a node (u64), where its name begins (u16) and its type, then the names.
 * @returns names as bytes (latin1)
 * @throws ERR_DDI_FILE_SYSTEM
 */
export function parseDirectoryBlock(
  block: Buffer,
  path: string,
): readonly { readonly name: string; readonly node: number }[] {
  const names = block.length < recordSize ? 0 : block.readUInt16LE(8)
  const count = names / recordSize
  if (!Number.isInteger(count) || count === 0 || names > block.length)
    throw damaged(`directory ${JSON.stringify(path)}`)
  return Array.from({ length: count }, (_, index) => {
    const record = block.subarray(index * recordSize)
    const start = record.readUInt16LE(8)
    const next = index + 1 < count ? record.readUInt16LE(recordSize + 8) : block.length
    const bytes = block.subarray(start, next)
    // The last name ends with the block, or a zero byte.
    const zero = index + 1 < count ? -1 : bytes.indexOf(0)
    const name = bytes.toString('latin1', 0, zero < 0 ? bytes.length : zero)
    if (start < names || next <= start || name === '' || /[/\0]/.test(name))
      throw damaged(`directory ${JSON.stringify(path)}`)
    return { name, node: Number(record.readBigUInt64LE(0)) }
  }).filter(({ name }) => name !== '.' && name !== '..')
}

const attributesHeader = 12
const userPrefix = { index: 1, text: 'user.' } as const

/** Reads an extended attribute: those of an inode follow it, others are shared. */
async function readAttribute(source: Source, inode: Inode, name: string): Promise<string | undefined> {
  const { attributesStart, attributesLength, superblock } = inode
  if (attributesLength === 0) return undefined
  const bytes = await readBytes(source, attributesStart, attributesLength)
  const sharedCount = bytes[4]!
  const inline = attributesHeader + sharedCount * 4
  if (inline > bytes.length) throw damaged('extended attributes')
  for (let at = inline; at + 4 <= bytes.length; ) {
    const found = parseAttribute(bytes.subarray(at))
    if (found.name === name) return found.value
    at += Math.ceil(found.length / 4) * 4
  }
  for (let index = 0; index < sharedCount; index++) {
    const start = superblock.sharedAttributes + bytes.readUInt32LE(attributesHeader + index * 4) * 4
    // As much as a short value can take up.
    const found = parseAttribute(await readBytes(source, start, Math.min(512, source.size - start)))
    if (found.name === name) return found.value
  }
  return undefined
}

/** An entry: length of the name after its prefix (u8), the prefix (u8), length of the value (u16), name, value. */
function parseAttribute(bytes: Buffer): { readonly name: string; readonly value: string; readonly length: number } {
  if (bytes.length < 4) throw damaged('extended attributes')
  const nameEnd = 4 + bytes[0]!
  const length = nameEnd + bytes.readUInt16LE(2)
  const prefix = bytes[1] === userPrefix.index ? userPrefix.text : `${bytes[1]}:`
  return {
    name: prefix + bytes.toString('utf8', 4, nameEnd),
    value: bytes.toString('utf8', nameEnd, length),
    length,
  }
}
