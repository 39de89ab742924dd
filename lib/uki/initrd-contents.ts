import { basename, join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { memorySource } from '../bytes/memory.js'
import type { Source } from '../bytes/source.js'
import type { ModuleFile } from '../kernel/module-dependencies.js'
import { systemAuthorities } from '../system-authorities.js'
import { type Busybox, findBusybox } from './busybox.js'
import { type CpioEntry, cpioArchive } from './cpio.js'
import { defaultModules } from './default-modules.js'
import { deviceNodes, earlyModules, initScript } from './init-script.js'
import { readModuleIndex, unpackedPath } from './kernel-modules.js'
import { moduleClosure } from './module-index.js'
import { makeSquashfs, squashfsCompression } from './squashfs.js'
import { stageFiles, type TreeFile } from './stage.js'
import { fileEntry } from './tree-entries.js'
import { type TrustOptions, trustFiles } from './trust-files.js'
import { usrTree } from './usr-tree.js'

export interface InitrdSettings {
  readonly modulesFrom: string
  /** Of the kernel, as `/boot/config-VERSION`; null: unknown. */
  readonly configuration: string | null
  readonly modules: readonly string[]
  readonly trust: TrustOptions
  readonly tar: boolean
  readonly installer: boolean
  readonly epoch: number
  readonly signal: AbortSignal | undefined
}

/**
 * The archive: busybox, and a squashfs of /usr with all else. It is read from what lies in a directory that must stay.
 * @throws as `buildInitrd`
 */
export async function composeInitrd(directory: string, settings: InitrdSettings): Promise<Source> {
  const { modulesFrom, configuration, modules, epoch, signal } = settings
  const index = await readModuleIndex(modulesFrom)
  const early = moduleClosure(index, earlyModules, [])
  const all = moduleClosure(index, [...earlyModules, ...modules], defaultModules)
  const busybox = await findBusybox(signal)
  const trust = await trustEntries(settings.trust)
  const [usr, squashfs, beside] = ['usr', 'usr.squashfs', 'early'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  await stageFiles(await usrTree(modulesFrom, all, settings), usr, epoch, signal)
  await makeSquashfs(usr, squashfs, { compression: squashfsCompression(configuration), epoch, signal })
  await stageFiles(
    early.map((module) => earlyFile(modulesFrom, module)),
    beside,
    epoch,
    signal,
  )
  const entries: CpioEntry[] = [
    ...directories.map((path) => ({ path, kind: 'directory', mode: path === 'tmp' ? 0o1777 : 0o755 }) as const),
    ...deviceNodes,
    bytes('init', Buffer.from(initScript(early.map(earlyName))), 0o755),
    bytes('etc/initrd-release', Buffer.from('ID=ddi\nNAME=ddi\n')),
    ...trust,
    ...(await busyboxEntries(busybox)),
    ...['lib', 'lib64'].map((name) => link(name, `usr/${name}`)),
    await fileEntry('usr.squashfs', squashfs),
    ...(await Promise.all(early.map((module) => fileEntry(`m/${earlyName(module)}`, join(beside, earlyName(module)))))),
  ]
  return cpioArchive(entries, epoch)
}

const directories = [
  ...['bin', 'dev', 'etc', 'etc/ssl', 'etc/ssl/certs', 'etc/systemd', 'etc/verity.d', 'm', 'proc', 'run', 'sys'],
  ...['sysroot', 'tmp', 'usr', 'var'],
]

function earlyName(module: ModuleFile): string {
  return basename(unpackedPath(module))
}

function earlyFile(directory: string, module: ModuleFile): TreeFile {
  return { path: earlyName(module), kind: 'module', directory, module }
}

async function trustEntries(trust: TrustOptions): Promise<CpioEntry[]> {
  const there = await Promise.all(systemAuthorities.map(exists))
  const usual = systemAuthorities.find((_, index) => there[index])
  const files = await trustFiles({ ...(usual !== undefined && { authorities: usual }), ...trust })
  return files.map(({ path, content }) => bytes(path, content))
}

async function busyboxEntries({ path, names }: Busybox): Promise<CpioEntry[]> {
  return [
    await fileEntry('bin/busybox', path, 0o755),
    ...names.map((name) => link(`bin/${name}`, 'busybox')),
    link('sbin', 'bin'),
  ]
}

function bytes(path: string, content: Uint8Array, mode = 0o644): CpioEntry {
  return { path, kind: 'file', mode, content: memorySource(content) }
}

function link(path: string, target: string): CpioEntry {
  return { path, kind: 'link', mode: 0o777, target }
}
