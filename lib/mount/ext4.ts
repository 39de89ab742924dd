import { chmod, link, mkdir, readlink, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { requireRoom, roomBeside } from '../bytes/room.js'
import { readSmallFile } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'
import { walkBounds } from './bounds.js'
import { type ExtractedFiles, fileKind, nameText, type TreeEntry } from './entries.js'

/** A file, by what its directory lists. */
interface Entry {
  readonly inode: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** In bytes; 0 for what has none. */
  readonly size: number
  /** From the root of the file system, as bytes (latin1). */
  readonly path: string
}

/** Answers commands of debugfs(8), each with the bytes that it prints (latin1). */
type Debugfs = (commands: readonly string[]) => Promise<readonly string[]>

const rootInode = '2'
/** As many commands as debugfs gets at once. */
const batch = 1000
const kinds = { directory: 0o04, file: 0o10, link: 0o12 } as const
const kindOf = ({ mode }: Entry) => mode >> 12

/**
 * Takes the files of an ext4 file system out of it with debugfs, by their inodes: names in it are checked here, and
 * none leads out of the directory. Devices, FIFOs and sockets are left out.
 * @param volume path of the file system
 * @param directory to create
 * @throws ERR_DDI_FILE_SYSTEM for names that no file can have, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function extractExt4(volume: string, directory: string, signal?: AbortSignal): Promise<ExtractedFiles> {
  const ask = debugfs(volume, `${directory}.commands`, signal)
  await mkdir(directory, { mode: 0o700 })
  const entries = [await readRoot(ask)]
  const bounds = walkBounds(signal)
  bounds.enter(rootInode, '')
  const extracted = new Map<string, Entry>()
  const waiting = [...entries]
  for (let some = waiting.splice(0, batch); some.length > 0; some = waiting.splice(0, batch)) {
    const listings = await ask(some.map(({ inode }) => `ls -p <${inode}>`))
    const found = some.flatMap(({ path }, index) => entriesOf(path, listings[index]!))
    for (const entry of found) {
      bounds.count(entry.path)
      entries.push(entry)
      if (kindOf(entry) !== kinds.directory) continue
      bounds.enter(entry.inode, entry.path)
      waiting.push(entry)
      await mkdir(within(directory, entry.path), { mode: (entry.mode & 0o1777) | 0o700 })
    }
    await extractFiles(ask, directory, found, extracted)
  }
  return {
    list: () => list(ask, directory, entries),
    async attribute(path, name) {
      const bytes = Buffer.from(path).toString('latin1')
      const inode = entries.find((entry) => entry.path === bytes)?.inode
      const [answer = ''] = inode === undefined ? [] : await ask([`ea_get <${inode}> ${name}`])
      return /^\S+ \(\d+\) = "([^"]*)"$/m.exec(answer)?.[1]
    },
  }
}

function debugfs(volume: string, script: string, signal: AbortSignal | undefined): Debugfs {
  return async (commands) => {
    const answers: string[] = []
    for (let first = 0; first < commands.length; first += batch) {
      const some = commands.slice(first, first + batch)
      await writeFile(script, `${some.join('\n')}\n`)
      const command = ['debugfs', '-f', script, volume] as const
      const output = await runTool({ command, package: 'e2fsprogs', encoding: 'latin1' }, signal)
      await rm(script)
      // It repeats each command before its answer.
      const parts = output.split(/^debugfs: .*\n/m).slice(1)
      if (parts.length !== some.length)
        throw new DdiError('ERR_DDI_FILE_SYSTEM', 'the file system has names that cannot be read without privileges')
      answers.push(...parts)
    }
    return answers
  }
}

function within(directory: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')])
}

async function readRoot(ask: Debugfs): Promise<Entry> {
  const [listing = ''] = await ask([`ls -p <${rootInode}>`])
  return { ...parseListing(listing).find(({ name }) => name === '.')!, path: '' }
}

/** @param extracted the first name of each inode; its other names become hard links */
async function extractFiles(
  ask: Debugfs,
  directory: string,
  found: readonly Entry[],
  extracted: Map<string, Entry>,
): Promise<void> {
  const scratch = `${directory}.files`
  await mkdir(scratch, { mode: 0o700 })
  const named = found.filter((entry) => kindOf(entry) === kinds.file || kindOf(entry) === kinds.link)
  for (const entry of named) if (!extracted.has(entry.inode)) extracted.set(entry.inode, entry)
  const files = named.filter((entry) => extracted.get(entry.inode) === entry)
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  await requireRoom('what the ext4 holds', await roomBeside(directory), bytes)
  const dumped = (index: number) => join(scratch, String(index))
  await ask(files.map(({ inode }, index) => `dump <${inode}> "${dumped(index)}"`))
  const links = files.filter((entry) => kindOf(entry) === kinds.link)
  const facts = await ask(links.map(({ inode }) => `stat <${inode}>`))
  const factsOf = new Map(links.map((link, index) => [link, facts[index]!]))
  for (const [index, file] of files.entries()) {
    const target = within(directory, file.path)
    if (kindOf(file) === kinds.file) {
      await chmod(dumped(index), (file.mode & 0o777) | 0o600)
      await fitToSize(dumped(index), file)
      await chmod(dumped(index), (file.mode & 0o777) | 0o400)
      await rename(dumped(index), target)
    } else await symlink(await linkTarget(factsOf.get(file)!, dumped(index), file.path), target)
  }
  for (const { inode, path } of named) {
    const first = extracted.get(inode)!
    if (first.path !== path) await link(within(directory, first.path), within(directory, path))
  }
  await rm(scratch, { recursive: true })
}

/** debugfs pads what lies in the inode itself (inline_data). @throws ERR_DDI_FILE_SYSTEM if bytes are missing */
async function fitToSize(dumped: string, { path, size }: Entry): Promise<void> {
  const { size: length } = await stat(dumped)
  if (length < size)
    throw new DdiError(
      'ERR_DDI_FILE_SYSTEM',
      `the file ${JSON.stringify(path)} is damaged: ${length} of ${size} bytes can be read`,
    )
  if (length > size) await truncate(dumped, size)
}

/** Short targets are in the inode, others in blocks like the contents of a file. */
async function linkTarget(stat: string, dumped: string, path: string): Promise<Buffer> {
  const begins = stat.indexOf(shortLink)
  const target =
    begins < 0
      ? await readSmallFile(dumped).catch(() => Buffer.alloc(0))
      : Buffer.from(stat.slice(begins + shortLink.length, stat.lastIndexOf('"')), 'latin1')
  if (target.length === 0 || target.length > longestTarget || target.includes(0))
    throw new DdiError('ERR_DDI_FILE_SYSTEM', `the target of the link ${JSON.stringify(path)} is damaged`)
  return target
}

/** What `stat` prints last of a link whose target is in its inode; a quote follows it. */
const shortLink = '\nFast link dest: "'
/** PATH_MAX without its NUL. */
const longestTarget = 4095

function entriesOf(directory: string, listing: string): Entry[] {
  return parseListing(listing)
    .filter(({ name }) => name !== '.' && name !== '..')
    .map(({ name, ...entry }) => ({ ...entry, path: directory === '' ? name : `${directory}/${name}` }))
}

/**
 * Parses what `ls -p` prints, lines of /INODE/MODE/UID/GID/NAME/SIZE/; the inode is 0 if a name was deleted.
 * @throws ERR_DDI_FILE_SYSTEM
 */
export function parseListing(text: string): readonly (Omit<Entry, 'path'> & { readonly name: string })[] {
  const names = new Set<string>()
  const entries = text.split('\n').flatMap((line) => {
    if (line.trim() === '' || line.startsWith('/0/')) return []
    const [, inode, mode, uid, gid, name, size] =
      /^\/(\d+)\/([0-7]+)\/(-?\d+)\/(-?\d+)\/(.*)\/(\d*)\/$/.exec(line) ?? []
    if (inode === undefined || !name || name.includes('/'))
      throw new DdiError(
        'ERR_DDI_FILE_SYSTEM',
        `the file system has a name that cannot be read without privileges: ${JSON.stringify(line.slice(0, 200))}`,
      )
    if (names.has(name))
      throw new DdiError(
        'ERR_DDI_FILE_SYSTEM',
        `a directory of the file system is damaged: two entries are named ${JSON.stringify(name)}`,
      )
    names.add(name)
    // debugfs prints owners as signed numbers.
    const [owner, group] = [Number(uid) >>> 0, Number(gid) >>> 0]
    return [{ inode, mode: Number.parseInt(mode!, 8), uid: owner, gid: group, name, size: Number(size) }]
  })
  // debugfs is silent about a directory whose checksum is wrong.
  if (!names.has('.')) throw new DdiError('ERR_DDI_FILE_SYSTEM', 'a directory of the file system is damaged')
  return entries
}

async function list(ask: Debugfs, directory: string, entries: readonly Entry[]): Promise<readonly TreeEntry[]> {
  const found: TreeEntry[] = []
  let stats: readonly string[] = []
  for (const [index, entry] of entries.entries()) {
    const ofBatch = index % batch
    if (ofBatch === 0) stats = await ask(entries.slice(index, index + batch).map(({ inode }) => `stat <${inode}>`))
    const path = nameText(Buffer.from(entry.path, 'latin1'), '')
    const kind = fileKind(entry.mode, path)
    const { size, modified } = parseStat(stats[ofBatch]!, path)
    const target = kind === 'link' ? nameText(await readlink(within(directory, entry.path), 'buffer'), path) : null
    found.push({ path, kind, mode: entry.mode & 0o7777, uid: entry.uid, gid: entry.gid, size, modified, target })
  }
  return found
}

/** Parses what `stat` prints. @throws ERR_DDI_FILE_SYSTEM */
export function parseStat(text: string, path: string): { readonly size: number; readonly modified: number } {
  const size = /^User: .* Size: (\d+)$/m.exec(text)?.[1]
  const [, seconds, extra = '0'] = /^ ?mtime: 0x([0-9a-f]{8})(?::([0-9a-f]{8}))? /m.exec(text) ?? []
  if (size === undefined || seconds === undefined)
    throw new DdiError('ERR_DDI_FILE_SYSTEM', `the inode of ${JSON.stringify(path)} is damaged`)
  // The kernel's documentation, ext4/inodes, "Inode Timestamps": the extra field has two more bits of seconds.
  const epoch = Number.parseInt(extra, 16) & 3
  return { size: Number(size), modified: (Number.parseInt(seconds, 16) | 0) + epoch * 2 ** 32 }
}
