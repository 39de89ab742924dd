import { realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { ModuleFile } from '../kernel/module-dependencies.js'
import { toolPath } from '../tool.js'
import { bootProgram } from './boot-program.js'
import { partialIndex, unpackedPath } from './kernel-modules.js'
import type { Libraries } from './libraries.js'
import type { TreeFile } from './stage.js'

/** What becomes /usr in the initrd: the boot program with all that it needs, and modules. @throws as `bootProgram` */
export async function usrTree(
  modulesFrom: string,
  modules: readonly ModuleFile[],
  { tar, installer }: { readonly tar: boolean; readonly installer: boolean },
): Promise<readonly TreeFile[]> {
  const tools = [...(tar ? [archiver] : []), ...(installer ? installers : [])]
  const programs = await Promise.all(
    tools.map(async (tool) => ({ path: `bin/${tool.command[0]}`, from: await realpath(await toolPath(tool)) })),
  )
  const { files, libraries } = await bootProgram('bin/node', programs)
  return [
    ...files,
    ...(installer ? codePageFiles(libraryHome(libraries)) : []),
    ...libraryFiles(libraries),
    { path: 'lib/clock-epoch', kind: 'content', content: '' },
    ...(await moduleFiles(modulesFrom, modules)),
  ]
}

const archiver = { command: ['tar'], package: 'tar' } as const

/** What lib/install/ runs. */
const installers = [
  { command: ['mkfs.vfat'], package: 'dosfstools' },
  { command: ['mcopy'], package: 'mtools' },
  { command: ['efibootmgr'], package: 'efibootmgr' },
] as const

/** What mcopy takes the names of files for: it does nothing before the C library can convert them. gconv-modules(5) */
function codePageFiles(home: string): TreeFile[] {
  const to = belowUsr(join(home, 'gconv'))
  const pairs = ['IBM850// INTERNAL', 'INTERNAL IBM850//'].map((pair) => `module ${pair} IBM850 1\n`)
  return [
    { path: `${to}/IBM850.so`, kind: 'copy', from: join(home, 'gconv/IBM850.so') },
    { path: `${to}/gconv-modules`, kind: 'content', content: `alias CP850// IBM850//\n${pairs.join('')}` },
  ]
}

/** All libraries go where the dynamic loader looks anyway: to the C library. */
function libraryHome({ libraries }: Libraries): string {
  return dirname(libraries.get('libc.so.6') ?? '/usr/lib/libc.so.6')
}

function libraryFiles({ libraries, loader }: Libraries): TreeFile[] {
  const home = libraryHome({ libraries, loader })
  return [
    ...[...libraries].map(([name, from]): TreeFile => ({ path: belowUsr(join(home, name)), kind: 'program', from })),
    ...(loader === null ? [] : [{ path: belowUsr(loader), kind: 'program', from: loader } as const]),
  ]
}

/** /lib is /usr/lib there. */
function belowUsr(path: string): string {
  return path.replace(/^\/(usr\/)?/, '')
}

async function moduleFiles(directory: string, modules: readonly ModuleFile[]): Promise<TreeFile[]> {
  const home = `lib/modules/${basename(directory)}`
  const index = await partialIndex(directory, modules)
  return [
    ...modules.map(
      (module): TreeFile => ({ path: `${home}/${unpackedPath(module)}`, kind: 'module', directory, module }),
    ),
    ...[...index].map(([name, content]): TreeFile => ({ path: `${home}/${name}`, kind: 'content', content })),
  ]
}
