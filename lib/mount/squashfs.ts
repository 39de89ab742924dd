import { readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { requireRoom, roomBeside } from '../bytes/room.js'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'
import { type Bounds, walkBounds } from './bounds.js'
import { type ExtractedFiles, type FileKind, nameText, type TreeEntry } from './entries.js'
import { readAttribute } from './root.js'

const tool = 'squashfs-tools'

/**
 * Takes the files of a squashfs out of it with unsquashfs. Devices, FIFOs and sockets are left out.
 * @param volume path of the file system
 * @param directory to create
 * @throws ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function extractSquashfs(
  volume: string,
  directory: string,
  signal?: AbortSignal,
): Promise<ExtractedFiles> {
  const listing = await runTool(
    { command: ['unsquashfs', '-lln', volume], package: tool, encoding: 'latin1', env: { LC_ALL: 'C' } },
    signal,
  )
  await requireRoom('what the squashfs holds', await roomBeside(directory), countedBytes(listing, walkBounds(signal)))
  // It needs privileges to create devices, and fails without.
  const excluded = `${directory}.excluded`
  await writeFile(excluded, specialFiles(listing), 'latin1')
  const extract = ['unsquashfs', '-quiet', '-no-progress', '-no-wildcards'] as const
  const command = [...extract, '-no-xattrs', '-exclude-file', excluded, '-dest', directory, volume] as const
  await runTool({ command, package: tool }, signal)
  await rm(excluded)
  return {
    list: () => list(volume, directory, directorySizes(listing), signal),
    async attribute(path, name) {
      const one = `${directory}.attribute`
      // Exit status 2: the file system that this is written to has no attributes.
      const command = [...extract, '-user-xattrs', '-dest', one, volume, path] as const
      await runTool({ command, package: tool, accepted: [2] }, signal)
      try {
        return await readAttribute(join(one, path), name)
      } finally {
        await rm(one, { recursive: true, force: true })
      }
    },
  }
}

/** A line of `-lln` up to the path: mode, owner, size (or device number), date, time. */
const details = String.raw`\d+\/\d+ +(?:\d+, *)?(\d+) \d{4}-\d\d-\d\d \d\d:\d\d squashfs-root`
const specialLine = new RegExp(String.raw`^[bcps]\S{9} ${details}\/(.*)$`)
const fileLine = new RegExp(String.raw`^-\S{9} ${details}\/`)
const directoryLine = new RegExp(String.raw`^d\S{9} ${details}(?:\/(.*))?$`)

/**
 * Counts the paths: the listing has no inodes, and directories with two names only many of them.
 * @returns how many bytes the files have together
 * @throws ERR_DDI_FILE_SYSTEM, ERR_DDI_ABORTED
 */
function countedBytes(listing: string, bounds: Bounds): number {
  let bytes = 0
  for (const line of listing.split('\n')) {
    bounds.count(line)
    bytes += Number(fileLine.exec(line)?.[1] ?? 0)
  }
  return bytes
}

function specialFiles(listing: string): string {
  return listing
    .split('\n')
    .flatMap((line) => {
      const path = specialLine.exec(line)?.[2]
      return path === undefined ? [] : [`/${path}\n`]
    })
    .join('')
}

/** By path; only this listing has the sizes of directories. */
function directorySizes(listing: string): ReadonlyMap<string, number> {
  return new Map(
    listing.split('\n').flatMap((line) => {
      const [, size, path = ''] = directoryLine.exec(line) ?? []
      return size === undefined ? [] : [[path, Number(size)] as const]
    }),
  )
}

/** Ends the listing; the contents of the files follow. */
const end = '# START OF DATA'

async function list(
  volume: string,
  directory: string,
  sizes: ReadonlyMap<string, number>,
  signal?: AbortSignal,
): Promise<readonly TreeEntry[]> {
  const script = `unsquashfs -quiet -no-progress -no-xattrs -pf /dev/stdout "$1" | sed '/^${end}/q'`
  const command = ['sh', '-c', script, 'sh', volume] as const
  const text = await runTool({ command, package: tool, encoding: 'latin1', env: { LC_ALL: 'C' } }, signal)
  const lines = parsePseudoFile(text)
  const entries = lines.map((line) => toEntry(line, sizes))
  for (const { path, target } of entries) {
    if (target === null) continue
    // A target with a line break in it would look like more lines.
    const bytes = await readlink(join(directory, path), { encoding: 'buffer' }).catch(() => undefined)
    if (bytes?.toString('utf8') !== target) throw unreadable(path)
  }
  return entries
}

/** A pseudo file definition of mksquashfs(1), as `unsquashfs -pf` prints it; text is bytes (latin1). */
interface PseudoLine {
  readonly path: string
  readonly type: string
  /** Seconds since 1970. */
  readonly time: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** The fields of its type. */
  readonly rest: string
}

/** @throws ERR_DDI_FILE_SYSTEM for names with line breaks, ERR_DDI_TOOL for an incomplete list */
export function parsePseudoFile(text: string): readonly PseudoLine[] {
  const lines = text.split('\n')
  const last = lines.findIndex((line) => line.startsWith(end))
  if (last < 0) throw new DdiError('ERR_DDI_TOOL', 'unsquashfs lists no files: is it older than 4.5?')
  const found = new Map<string, PseudoLine>()
  const hardLinks: (readonly [path: string, of: string])[] = []
  for (const line of lines.slice(0, last)) {
    if (line === '#') continue
    const [, name, type, fields] = /^((?:[^\\ ]|\\.)+) ([A-Z]) (.*)$/.exec(line) ?? []
    if (name === undefined || fields === undefined) throw unreadable(line)
    const path = unescaped(name)
    if (type === 'L') {
      hardLinks.push([path, unescaped(fields)])
      continue
    }
    const [, time, mode, uid, gid, rest = ''] = /^(-?\d+) ([0-7]+) (-?\d+) (-?\d+)(?: (.*))?$/.exec(fields) ?? []
    if (gid === undefined || found.has(path)) throw unreadable(line)
    found.set(path, {
      path,
      type: type!,
      time: Number(time),
      mode: Number.parseInt(mode!, 8),
      uid: Number(uid) >>> 0,
      gid: Number(gid) >>> 0,
      rest,
    })
  }
  const linked = hardLinks.map(([path, of]) => {
    const line = found.get(of)
    if (!line) throw unreadable(path)
    return { ...line, path }
  })
  return [...found.values(), ...linked]
}

function unescaped(text: string): string {
  const name = text.replace(/\\(.)/g, '$1')
  return name === '/' ? '' : name
}

function unreadable(path: string): DdiError {
  return new DdiError(
    'ERR_DDI_FILE_SYSTEM',
    `the file system has a name or link that cannot be read without privileges: ${JSON.stringify(path.slice(0, 200))}`,
  )
}

const kinds: Readonly<Record<string, FileKind>> = {
  D: 'folder',
  R: 'file',
  S: 'link',
  B: 'block-device',
  C: 'character-device',
}

function toEntry(line: PseudoLine, sizes: ReadonlyMap<string, number>): TreeEntry {
  const { type, mode, uid, gid, time, rest } = line
  const path = nameText(Buffer.from(line.path, 'latin1'), '')
  const kind = type === 'I' ? (rest === 's' ? 'socket' : 'fifo') : kinds[type]
  const size = sizeOf(kind, line, sizes)
  if (kind === undefined || size === undefined) throw unreadable(path)
  const target = kind === 'link' ? nameText(Buffer.from(rest, 'latin1'), path) : null
  return { path, kind, mode, uid, gid, size, modified: time, target }
}

function sizeOf(
  kind: FileKind | undefined,
  { path, rest }: PseudoLine,
  sizes: ReadonlyMap<string, number>,
): number | undefined {
  if (kind === 'folder') return sizes.get(path)
  if (kind === 'link') return rest.length
  if (kind !== 'file') return 0
  const size = /^\d+(?= )/.exec(rest)?.[0]
  return size === undefined ? undefined : Number(size)
}
