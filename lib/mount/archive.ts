import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { giveName, refuseExisting } from '../bytes/new-file.js'
import { openScratchDirectory } from '../bytes/scratch.js'
import { DdiError, systemError } from '../errors.js'
import { checkOptions } from '../options.js'
import { inEnglish, startProgram, systemPath, toolError, toolPath } from '../tool.js'
import { throwIfAborted, type Work, workNames } from '../work.js'
import type { Tree } from './entries.js'

/** The same files make the same bytes: neither who reads them nor when is in it. */
const reproducible = [
  ...['--create', '--format=posix', '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'],
  ...['--sort=name', '--numeric-owner', '--acls', '--xattrs', '--xattrs-include=*'],
] as const

/**
 * Writes all files of a tree as an archive of tar(5), in the order of their names, with owners, access lists and attributes.
 * @param target a new path, or a stream, which stays open
 * @throws ERR_DDI_PERMISSION unless the image is mounted, which alone shows owners and devices; ERR_DDI_EXISTS, ERR_DDI_TOOL,
 *   ERR_DDI_LIBRARY_MISSING, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED; nothing has the new path then
 */
export async function archiveTree(tree: Tree, target: string | Writable, work: Work = {}): Promise<void> {
  checkOptions(work, workNames, 'archiveTree')
  if (tree.source.kind !== 'mount')
    throw new DdiError(
      'ERR_DDI_PERMISSION',
      'files are archived as a mount shows them, with their owners (run as root?)',
    )
  if (typeof target !== 'string') return await archiveTo(tree.root.path, target, false, work)
  await refuseExisting(target)
  await using directory = await openScratchDirectory(target)
  const written = `${directory.held}/archive`
  await archiveTo(tree.root.path, createWriteStream(written, { flags: 'wx', flush: true }), true, work)
  await giveName(written, target, false).catch((error: unknown) => {
    throw systemError(error, `cannot create ${target}`)
  })
}

async function archiveTo(root: string, to: Writable, end: boolean, { signal, onProgress }: Work): Promise<void> {
  const tar = await toolPath({ command: ['tar'], package: 'tar' })
  const env = { ...process.env, ...inEnglish, PATH: systemPath }
  const child = await startProgram([tar, ...reproducible, `--directory=${root}`, '.'], { env, signal })
  child.on('error', () => undefined)
  child.stdin.end()
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(0, 2000)
  })
  let done = 0
  child.stdout.on('data', ({ length }: Buffer) => {
    done += length
    onProgress?.({ done, total: null })
  })
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
  try {
    await pipeline(child.stdout, to, { end })
  } catch (error) {
    child.kill()
    throwIfAborted(signal)
    throw systemError(error, 'cannot write the archive')
  }
  const status = await closed
  throwIfAborted(signal)
  if (status !== 0) throw toolError('tar failed', said)
}
