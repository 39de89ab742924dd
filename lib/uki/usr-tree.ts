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
  withTar: boolean,
): Promise<readonly TreeFile[]> {
  const tar = withTar ? [{ path: 'bin/tar', from: await toolPath({ command: ['tar'], package: 'tar' }) }] : []
  const { files, libraries } = await bootProgram('bin/node', tar)
  return [
    ...files,
    ...libraryFiles(libraries),
    { path: 'lib/clock-epoch', kind: 'content', content: '' },
    ...(await moduleFiles(modulesFrom, modules)),
  ]
}

/** All libraries go where the dynamic loader looks anyway: to the C library. */
function libraryFiles({ libraries, loader }: Libraries): TreeFile[] {
  const home = dirname(libraries.get('libc.so.6') ?? '/usr/lib/libc.so.6')
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
