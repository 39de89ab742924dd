import { DdiError } from '../errors.js'
import { indexLines, type ModuleFile, moduleName, parseDependencies } from '../kernel/module-dependencies.js'

/** The modules of a kernel, as its build and depmod(8) leave them. */
export interface ModuleIndex {
  /** By their names. */
  readonly modules: ReadonlyMap<string, ModuleFile>
  /** The names of what is built into the kernel. */
  readonly builtIn: ReadonlySet<string>
  /** The names of the modules that have another one, by that: `crc32c`. */
  readonly aliases: ReadonlyMap<string, readonly string[]>
  /** What should be loaded along with a module, names or aliases, by its name: modprobe.d(5). */
  readonly soft: ReadonlyMap<string, readonly string[]>
}

/** The text of the files of the same names: `modules.dep` and others. */
export interface IndexFiles {
  readonly dep: string
  readonly builtin: string
  readonly alias: string
  readonly softdep: string
}

/** @throws ERR_DDI_MODULES */
export function parseModuleIndex(files: IndexFiles): ModuleIndex {
  const modules = parseDependencies(files.dep)
  // A path is below the directory of the index, and becomes one in an archive.
  for (const { path, needs } of modules.values())
    for (const one of [path, ...needs])
      if (one === '' || /\s/.test(one) || one.startsWith('/') || one.split('/').includes('..'))
        throw new DdiError(
          'ERR_DDI_MODULES',
          `modules.dep has a malformed line, with the path ${JSON.stringify(one.slice(0, 200))}`,
        )
  const soft = grouped(files.softdep, /^softdep\s+(?<key>\S+)\s+(?<values>\S.*)$/s)
  const aliases = grouped(files.alias, /^alias\s+(?<key>[^\s*?[]+)\s+(?<values>\S+)$/)
  return { modules, builtIn: new Set(indexLines(files.builtin).map(moduleName)), aliases, soft }
}

/** Values by their keys, both as names; words such as `pre:` are about the order, which the index of needs has. */
function grouped(text: string, pattern: RegExp): Map<string, readonly string[]> {
  const groups = new Map<string, readonly string[]>()
  for (const line of indexLines(text)) {
    const { key, values } = pattern.exec(line)?.groups ?? {}
    if (key === undefined || values === undefined) continue
    const names = values.split(/\s+/).filter((word) => word !== '' && !word.endsWith(':'))
    groups.set(moduleName(key), [...(groups.get(moduleName(key)) ?? []), ...names.map(moduleName)])
  }
  return groups
}

/**
 * The modules of these names and all that they need, each behind what it needs.
 * @param required names or aliases; one that is neither a module nor built in is an error
 * @param optional names; one that this kernel does not have is left out
 * @throws ERR_DDI_NO_MODULE; ERR_DDI_MODULES if modules need each other in a circle, or one that the index does not have
 */
export function moduleClosure(
  index: ModuleIndex,
  required: readonly string[],
  optional: readonly string[],
): readonly ModuleFile[] {
  const { modules, builtIn, aliases, soft } = index
  const found = (given: string): ModuleFile[] => {
    const name = moduleName(given)
    return [name, ...(aliases.get(name) ?? [])].flatMap((one) => modules.get(one) ?? [])
  }
  const missing = required.find((name) => found(name).length === 0 && !builtIn.has(moduleName(name)))
  if (missing !== undefined)
    throw new DdiError('ERR_DDI_NO_MODULE', `the kernel has no module ${missing}: look for its name in modules.dep`)
  const chosen = new Map<string, ModuleFile>()
  const pending = [...required, ...optional].flatMap(found)
  for (let module = pending.pop(); module; module = pending.pop()) {
    const { path, needs } = module
    if (chosen.has(path)) continue
    chosen.set(path, module)
    for (const needed of needs) {
      const file = modules.get(moduleName(needed))
      if (file?.path !== needed)
        throw new DdiError('ERR_DDI_MODULES', `${path} needs ${needed}, which modules.dep does not have: run depmod`)
      pending.push(file)
    }
    pending.push(...(soft.get(moduleName(path)) ?? []).flatMap(found))
  }
  return inOrder(chosen)
}

/** Puts each behind what it needs. */
function inOrder(chosen: ReadonlyMap<string, ModuleFile>): ModuleFile[] {
  const sorted = [...chosen.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  const missing = new Map(sorted.map(({ path, needs }) => [path, needs.length]))
  const neededBy = new Map<string, ModuleFile[]>(sorted.map(({ path }) => [path, []]))
  for (const module of sorted) for (const needed of module.needs) neededBy.get(needed)!.push(module)
  const ordered = sorted.filter(({ needs }) => needs.length === 0)
  // It grows as it is walked through.
  for (const { path } of ordered)
    for (const module of neededBy.get(path)!) {
      const left = missing.get(module.path)! - 1
      missing.set(module.path, left)
      if (left === 0) ordered.push(module)
    }
  const circle = sorted.filter(({ path }) => missing.get(path)! > 0).map(({ path }) => moduleName(path))
  if (circle.length > 0)
    throw new DdiError('ERR_DDI_MODULES', `modules need each other in a circle: ${circle.slice(0, 8).join(', ')}`)
  return ordered
}
