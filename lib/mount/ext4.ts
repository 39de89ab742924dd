import { chmod, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'

interface Entry {
  readonly inode: string
  readonly mode: number
  readonly name: string
}

const rootInode = '2'
/** An image alone does not decide how long we read it. */
const mostEntries = 1_000_000
const kinds = { folder: 0o04, file: 0o10, link: 0o12 } as const
const kindOf = ({ mode }: Entry) => mode >> 12

/**
 * Takes the files of an ext4 file system out of it with debugfs, by their inodes: what names in it say is ours to judge, and
 * none leads out of the folder. Devices and their like are left out.
 * @param volume path of the file system
 * @param folder to be made
 * @throws ERR_DDI_FILE_SYSTEM for names that no file can have, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function extractExt4(volume: string, folder: string, signal?: AbortSignal): Promise<void> {
  const scratch = `${folder}.files`
  /** What debugfs answers to each command. */
  const ask = async (commands: readonly string[]): Promise<readonly string[]> => {
    const script = `${folder}.commands`
    await writeFile(script, `${commands.join('\n')}\n`)
    const answer = await runTool({ command: ['debugfs', '-f', script, volume], package: 'e2fsprogs' }, signal)
    await rm(script)
    // It repeats each command before its answer.
    return answer.split(/^debugfs: .*\n/m).slice(1)
  }
  await mkdir(folder, { mode: 0o700 })
  await mkdir(scratch, { mode: 0o700 })
  const seen = new Set([rootInode])
  let count = 0
  let level = [{ inode: rootInode, path: folder }]
  while (level.length > 0) {
    const listings = await ask(level.map(({ inode }) => `ls -p <${inode}>`))
    const found = level.flatMap(({ path }, index) =>
      parseListing(listings[index] ?? '').map((entry) => ({ ...entry, path: join(path, entry.name) })),
    )
    count += found.length
    if (count > mostEntries)
      throw new DdiError('ERR_DDI_FILE_SYSTEM', `the file system has more than ${mostEntries} files`)
    const files = found.filter((entry) => kindOf(entry) === kinds.file || kindOf(entry) === kinds.link)
    await ask(files.map(({ inode }, index) => `dump <${inode}> "${join(scratch, String(index))}"`))
    const links = files.filter((entry) => kindOf(entry) === kinds.link)
    const facts = links.length === 0 ? [] : await ask(links.map(({ inode }) => `stat <${inode}>`))
    for (const [index, file] of files.entries()) {
      const dumped = join(scratch, String(index))
      if (kindOf(file) === kinds.file) {
        await chmod(dumped, (file.mode & 0o777) | 0o400)
        await rename(dumped, file.path)
        continue
      }
      const short = /^Fast link dest: "([\s\S]*)"\s*$/m.exec(facts[links.indexOf(file)] ?? '')?.[1]
      await symlink(short ?? (await readFile(dumped, 'utf8')), file.path)
      await rm(dumped, { force: true })
    }
    level = []
    for (const entry of found) {
      if (kindOf(entry) !== kinds.folder || seen.has(entry.inode)) continue
      seen.add(entry.inode)
      await mkdir(entry.path, { mode: 0o700 })
      level.push(entry)
    }
  }
  await rm(scratch, { recursive: true })
}

/** Lines of `ls -p`: /INODE/MODE/UID/GID/NAME/SIZE/, of inode 0 where a name was deleted. */
function parseListing(text: string): Entry[] {
  const names = new Set<string>()
  const entries = text.split('\n').flatMap((line) => {
    if (line.trim() === '' || line.startsWith('/0/')) return []
    const [, inode, mode, name] = /^\/(\d+)\/([0-7]+)\/\d+\/\d+\/(.*)\/\d*\/$/.exec(line) ?? []
    if (inode === undefined || mode === undefined || !name || name.includes('/'))
      throw new DdiError(
        'ERR_DDI_FILE_SYSTEM',
        `the file system has a name that cannot be read without privileges: ${JSON.stringify(line.slice(0, 200))}`,
      )
    // Of twins in a damaged folder the first counts.
    if (names.has(name)) return []
    names.add(name)
    return [{ inode, mode: Number.parseInt(mode, 8), name }]
  })
  // debugfs is silent about a folder whose checksum is wrong.
  if (!names.has('.')) throw new DdiError('ERR_DDI_FILE_SYSTEM', 'a folder of the file system is damaged')
  return entries.filter(({ name }) => name !== '.' && name !== '..')
}
