import { basename, join } from 'node:path'
import { memorySource } from '../bytes/memory.js'
import { readSmallFile } from '../bytes/small-file.js'
import type { Source } from '../bytes/source.js'
import type { ModuleFile } from '../kernel/module-dependencies.js'
import { isWithin } from '../mount/entries.js'
import { decompress } from '../pull/decompress.js'
import { detectCompression } from '../pull/formats.js'
import { type CpioEntry, cpioArchive } from '../uki/cpio.js'
import { defaultModules } from '../uki/default-modules.js'
import { deviceNodes, earlyDirectory, earlyModules, initScript, otherModules } from '../uki/init-script.js'
import { partialIndex, readModuleIndex, unpackedPath } from '../uki/kernel-modules.js'
import { moduleClosure } from '../uki/module-index.js'
import { treeEntries } from '../uki/tree-entries.js'

/**
 * This initrd for another kernel: all that is in memory here, with the modules of that one for the machines that ours is for.
 * @param root what this initrd has as its root
 * @param modulesFrom the directory of the modules, as `/sysroot/usr/lib/modules/VERSION`
 * @param ours the names of the modules that this initrd has
 * @throws ERR_DDI_MODULES, ERR_DDI_NO_MODULE if the kernel has no loop devices or no squashfs, ERR_DDI_PULL_COMPRESSION
 */
export async function initrdForKernel(root: string, modulesFrom: string, ours: readonly string[]): Promise<Source> {
  const index = await readModuleIndex(modulesFrom)
  const early = moduleClosure(index, earlyModules, [])
  const modules = moduleClosure(index, earlyModules, [...defaultModules, ...ours])
  const home = `${otherModules}/${basename(modulesFrom)}`
  const files = [...(await partialIndex(modulesFrom, modules))].map(([name, text]) => file(`${home}/${name}`, text))
  const own = (await treeEntries(root)).filter(({ path }) => !replaced.some((one) => isWithin(path, one)))
  return cpioArchive(
    [
      ...own,
      ...deviceNodes,
      file('init', initScript(early.map(nameOf)), 0o755),
      ...[earlyDirectory, otherModules, home].map(directory),
      ...parents(modules.map(unpackedPath)).map((path) => directory(`${home}/${path}`)),
      ...files,
      ...(await moduleFiles(modulesFrom, early, (one) => `${earlyDirectory}/${nameOf(one)}`)),
      ...(await moduleFiles(modulesFrom, modules, (one) => `${home}/${unpackedPath(one)}`)),
    ],
    Math.floor(Date.now() / 1000),
  )
}

/** What is of the kernel that runs, or of this boot. */
const replaced: readonly string[] = ['init', earlyDirectory, otherModules, 'dev/console', 'dev/null']

function nameOf(module: ModuleFile): string {
  return basename(unpackedPath(module))
}

function file(path: string, content: string | Uint8Array, mode = 0o644): CpioEntry {
  return { path, kind: 'file', mode, content: memorySource(Buffer.from(content)) }
}

function directory(path: string): CpioEntry {
  return { path, kind: 'directory', mode: 0o755 }
}

/** All directories on the way to some files. */
function parents(paths: readonly string[]): readonly string[] {
  const found = new Set<string>()
  for (const path of paths)
    for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) found.add(path.slice(0, end))
  return [...found]
}

/** Modules as the kernel loads them: an initrd has none of the tools that unpack them. One after the other, to spare memory. */
async function moduleFiles(
  modulesFrom: string,
  modules: readonly ModuleFile[],
  placeOf: (module: ModuleFile) => string,
): Promise<readonly CpioEntry[]> {
  const entries: CpioEntry[] = []
  for (const module of modules) {
    const packed = await readSmallFile(join(modulesFrom, module.path))
    const unpacked: Uint8Array[] = []
    for await (const batch of decompress(once([packed]), detectCompression(packed))) unpacked.push(...batch)
    entries.push(file(placeOf(module), Buffer.concat(unpacked)))
  }
  return entries
}

async function* once<One>(one: One): AsyncGenerator<One> {
  yield one
}
