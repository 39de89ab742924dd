import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { copy } from '../bytes/copy.js'
import { openFile } from '../bytes/file.js'
import { memorySource } from '../bytes/memory.js'
import { writeNewFile } from '../bytes/new-file.js'
import type { Source } from '../bytes/source.js'
import { settledEpoch } from '../epoch.js'
import { checkOptions, type OptionNames } from '../options.js'
import { runTool } from '../tool.js'
import { type Work, workNames } from '../work.js'
import { findBusybox } from './busybox.js'
import { type CpioEntry, cpioArchive } from './cpio.js'
import { defaultModules } from './default-modules.js'
import { readModuleIndex, unpackedPath } from './kernel-modules.js'
import { type ModuleFile, moduleClosure } from './module-index.js'
import { stageFiles } from './stage.js'
import { usrTree } from './usr-tree.js'

export interface InitrdOptions extends Work {
  /** The modules of the kernel: `/lib/modules/6.1.0-50-amd64`. */
  readonly modulesFrom: string
  /** Modules besides the usual ones, and what they need. */
  readonly modules?: readonly string[]
  /** Seconds since 1970, for all times. Default: SOURCE_DATE_EPOCH, else now. */
  readonly epoch?: number
  /** Replaces a file that exists. Default: false. */
  readonly replace?: boolean
}
const initrdOptionNames: OptionNames<InitrdOptions> = {
  modulesFrom: true,
  modules: true,
  epoch: true,
  replace: true,
  ...workNames,
}

export interface BuiltInitrd {
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** The version of the kernel that its modules are for. */
  readonly kernelVersion: string
}

/**
 * Makes an initrd that boots a machine from a downloaded image: a cpio archive.
 * @throws ERR_DDI_MODULES, ERR_DDI_NO_MODULE, ERR_DDI_LIBRARY_MISSING, ERR_DDI_TOOL, ERR_DDI_EXISTS, ERR_DDI_NO_SPACE,
 *   ERR_DDI_ABORTED
 */
export async function buildInitrd(path: string, options: InitrdOptions): Promise<BuiltInitrd> {
  checkOptions(options, initrdOptionNames, 'buildInitrd')
  const { replace = false, signal, onProgress } = options
  const directory = await mkdtemp(join(tmpdir(), 'ddi-initrd-'))
  try {
    const archive = await composeInitrd(directory, options)
    await writeNewFile(path, archive.size, (target) => copy(archive, target, { signal, onProgress }), { replace })
    return { path, size: archive.size, kernelVersion: basename(options.modulesFrom) }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** What /init loads before it can mount /usr. */
const earlyModules = ['loop', 'squashfs']

/** The archive; what it is read from is in a directory that must stay. */
async function composeInitrd(
  directory: string,
  { modulesFrom, modules = [], epoch, signal }: InitrdOptions,
): Promise<Source> {
  const time = settledEpoch(epoch) ?? Math.floor(Date.now() / 1000)
  const index = await readModuleIndex(modulesFrom)
  const early = moduleClosure(index, [], earlyModules)
  const all = moduleClosure(index, modules, [...earlyModules, ...defaultModules])
  const usr = join(directory, 'usr')
  await stageFiles(await usrTree(modulesFrom, all), usr, time, signal)
  const squashfs = join(directory, 'usr.squashfs')
  await makeSquashfs(usr, squashfs, time, signal)
  const earlyStage = join(directory, 'early')
  const earlyFiles = early.map(
    (module) => ({ path: earlyName(module), kind: 'module', directory: modulesFrom, module }) as const,
  )
  await stageFiles(earlyFiles, earlyStage, time, signal)
  const busybox = await findBusybox(signal)
  const entries: CpioEntry[] = [
    ...directories.map((path) => ({ path, kind: 'directory', mode: path === 'tmp' ? 0o1777 : 0o755 }) as const),
    { path: 'dev/console', kind: 'character-device', major: 5, minor: 1, mode: 0o600 },
    { path: 'dev/null', kind: 'character-device', major: 1, minor: 3, mode: 0o666 },
    text('init', initScript(early.map(earlyName)), 0o755),
    text('etc/initrd-release', 'ID=ddi\nNAME=ddi\n'),
    { path: 'bin/busybox', kind: 'file', mode: 0o755, content: await fileContent(busybox.path) },
    ...busybox.names.map((name) => link(`bin/${name}`, 'busybox')),
    ...['lib', 'lib64'].map((name) => link(name, `usr/${name}`)),
    link('sbin', 'bin'),
    { path: 'usr.squashfs', kind: 'file', mode: 0o644, content: await fileContent(squashfs) },
    ...(await Promise.all(
      early.map(earlyName).map(async (name) => {
        const content = await fileContent(join(earlyStage, name))
        return { path: `m/${name}`, kind: 'file', mode: 0o644, content } as const
      }),
    )),
  ]
  return cpioArchive(entries, time)
}

const directories = ['bin', 'dev', 'etc', 'm', 'proc', 'run', 'sys', 'sysroot', 'tmp', 'usr', 'var']

function earlyName(module: ModuleFile): string {
  return basename(unpackedPath(module))
}

/** The first program: it mounts what has Node.js, and becomes the boot program. */
function initScript(modules: readonly string[]): string {
  return `#!/bin/sh
export PATH=/usr/bin:/bin
mount -t devtmpfs dev /dev
${modules.map((name) => `insmod /m/${name}\n`).join('')}mount -t squashfs -o loop,ro /usr.squashfs /usr
exec node /usr/lib/ddi/boot/main.js
`
}

function text(path: string, content: string, mode = 0o644): CpioEntry {
  return { path, kind: 'file', mode, content: memorySource(Buffer.from(content)) }
}

function link(path: string, target: string): CpioEntry {
  return { path, kind: 'link', mode: 0o777, target }
}

/** A file that is open only while it is read: an archive may have hundreds. */
async function fileContent(path: string): Promise<Source> {
  await using file = await openFile(path)
  return {
    size: file.size,
    async read(offset, length) {
      await using opened = await openFile(path)
      return await opened.read(offset, length)
    },
  }
}

async function makeSquashfs(tree: string, path: string, epoch: number, signal: AbortSignal | undefined): Promise<void> {
  const compression = ['-comp', 'zstd', '-Xcompression-level', '15', '-b', '128K']
  const command = ['mksquashfs', tree, path, '-noappend', '-no-progress', '-quiet', '-no-xattrs', '-all-root'] as const
  const env = { SOURCE_DATE_EPOCH: String(epoch) }
  await runTool({ command: [...command, ...compression], package: 'squashfs-tools', env }, signal)
}
