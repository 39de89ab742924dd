// Copies a tree without what is excluded from it.
import { once } from 'node:events'
import { lstat, mkdir, readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { exists } from '../bytes/exists.js'
import { systemCode, systemError } from '../errors.js'
import { inEnglish, runTool, startProgram, toolError, toolPath } from '../tool.js'
import { throwIfAborted } from '../work.js'

/**
 * Copies a file, or a directory with all that is in it: owners, modes, times, attributes, hard links and holes too.
 * @param to where it goes; its directory exists. Files and links there are replaced, never written through; directories are merged
 * @param excluded paths within `from`, which exist; with a trailing slash, the directory's contents only
 * @throws ERR_DDI_TOOL, ERR_DDI_ABORTED
 */
export async function copyTree(
  from: string,
  to: string,
  excluded: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (excluded.length > 0) return await copyWithout(from, to, excluded, signal)
  await runTool(
    {
      command: ['cp', '--archive', '--reflink=auto', '--remove-destination', '--no-target-directory', '--', from, to],
      package: 'coreutils',
    },
    signal,
  )
}

/** Which of paths within a directory exist; of those with a trailing slash, which have contents. */
export async function presentIn(directory: string, paths: Iterable<string>): Promise<readonly string[]> {
  const present: string[] = []
  for (const path of new Set(paths)) {
    const at = join(directory, path)
    const contentsOnly = path.endsWith('/') || (path === '' && (await lstat(at)).isDirectory())
    const isThere = contentsOnly ? (await namesIn(at)).length > 0 : await exists(at)
    if (isThere) present.push(path)
  }
  return present
}

/** More are not given to a program one by one. */
const mostNames = 1000

/**
 * Paths to leave out, without those that stand for the contents of a directory.
 * @returns undefined if there are too many
 */
export async function singlePaths(
  directory: string,
  excluded: readonly string[],
): Promise<readonly string[] | undefined> {
  const single: string[] = []
  for (const path of excluded) {
    const contents = path === '' || path.endsWith('/')
    single.push(...(contents ? (await namesIn(join(directory, path))).map((name) => `${path}${name}`) : [path]))
    if (single.length > mostNames) return undefined
  }
  return single
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return []
    throw systemError(error, `cannot read ${directory}`)
  })
}

const attributes = ['--xattrs', '--xattrs-include=*', '--acls', '--selinux', '--numeric-owner']

/** By tar: cp reads what it is to leave out, which may be endless. */
async function copyWithout(
  from: string,
  to: string,
  excluded: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(to, { recursive: true })
  const tar = await toolPath({ command: ['tar'], package: 'tar' })
  const patterns = excluded.map((path) => `--exclude=./${escaped(path)}${/(^|\/)$/.test(path) ? '*' : ''}`)
  const env = { ...process.env, ...inEnglish }
  const reader = await startProgram(
    [
      tar,
      '--create',
      '--file=-',
      '--format=posix',
      '--sparse',
      ...attributes,
      '--anchored',
      ...patterns,
      `--directory=${from}`,
      '.',
    ],
    { signal, env },
  )
  // Of a socket, tar would leave the padding behind the end mark unread, and who still writes it would fail.
  const reading = ['--extract', '--file=-', '--ignore-zeros', '--preserve-permissions', '--same-owner']
  const writer = await startProgram([tar, ...reading, ...attributes, `--directory=${to}`], { signal, env })
  const ended = Promise.all([reader, writer].map((one) => once(one, 'close') as Promise<[number | null]>))
  const said = Promise.all([text(reader.stderr), text(writer.stderr)])
  writer.stdout.resume()
  try {
    await pipeline(reader.stdout, writer.stdin)
    const statuses = (await ended).map(([status]) => status)
    if (statuses.some((status) => status !== 0)) throw new Error((await said).join('').trim())
  } catch (error) {
    throwIfAborted(signal)
    throw toolError(`cannot copy ${from}`, (await said).join('').trim().slice(0, 2000), { cause: error })
  }
}

/** As tar's patterns spell a path that means itself. */
function escaped(path: string): string {
  return path.replace(/[\\*?[]/g, '\\$&')
}

/**
 * A path from a directory that it lies in; its trailing slash stays. Empty: all that is in the directory.
 * @returns undefined if it does not lie in it
 */
export function pathFrom(directory: string, path: string): string | undefined {
  const relative = posix.relative(directory, path)
  if (relative === '..' || relative.startsWith('../')) return undefined
  return path.endsWith('/') && relative !== '' ? `${relative}/` : relative
}
