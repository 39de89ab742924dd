import { indexLines, type ModuleFile, moduleName, parseDependencies } from '../kernel/module-dependencies.js'

/** The modules of a kernel: modules.dep(5), and what depmod(8) writes beside it. */
export interface ModuleTable {
  /** By their names. */
  readonly modules: ReadonlyMap<string, ModuleFile>
  /** The names of what is built into the kernel. */
  readonly builtIn: ReadonlySet<string>
  /** In groups that have their literal beginning in common. */
  readonly aliases: ReadonlyMap<string, readonly ModuleAlias[]>
}

interface ModuleAlias {
  /** With the wildcards of fnmatch(3). */
  readonly pattern: string
  readonly module: string
}

/** @param files text of `modules.dep`, `modules.builtin` and `modules.alias`; an empty one is fine */
export function parseModuleTable(files: {
  readonly dep: string
  readonly builtIn: string
  readonly alias: string
}): ModuleTable {
  const aliases = new Map<string, ModuleAlias[]>()
  for (const line of indexLines(files.alias)) {
    const [, pattern, module] = /^alias\s+(\S+)\s+(\S+)$/.exec(line) ?? []
    if (pattern === undefined || module === undefined) continue
    const beginning = /^[^*?[]*/.exec(pattern)![0]
    const group = aliases.get(beginning) ?? []
    group.push({ pattern, module: moduleName(module) })
    aliases.set(beginning, group)
  }
  return { modules: parseDependencies(files.dep), builtIn: new Set(indexLines(files.builtIn).map(moduleName)), aliases }
}

/** The names of the modules that a device asks for. @param alias `pci:v00001AF4d00001000…`, or the name of a module */
export function modulesFor({ modules, aliases }: ModuleTable, alias: string): readonly string[] {
  const name = moduleName(alias)
  if (modules.has(name)) return [name]
  const found: string[] = []
  for (let length = 0; length <= alias.length; length++)
    for (const { pattern, module } of aliases.get(alias.slice(0, length)) ?? [])
      if (matchesPattern(pattern, alias)) found.push(module)
  return found
}

/** The modules of these names and what they need, each behind what it needs. Names that no module has are left out. */
export function inLoadingOrder({ modules }: ModuleTable, names: Iterable<string>): ReadonlyMap<string, ModuleFile> {
  const ordered = new Map<string, ModuleFile>()
  const seen = new Set<string>()
  // No recursion: how long a chain is, modules.dep decides.
  const stack = [...names].reverse()
  for (let name = stack.at(-1); name !== undefined; name = stack.at(-1)) {
    const module = modules.get(name)
    const needs = module && !seen.has(name) ? module.needs.map(moduleName).filter((need) => !seen.has(need)) : []
    seen.add(name)
    for (const need of needs.toReversed()) stack.push(need)
    if (needs.length > 0) continue
    stack.pop()
    if (module) ordered.set(name, module)
  }
  return ordered
}

/** fnmatch(3) without flags, in time that grows with the product of both lengths. */
export function matchesPattern(pattern: string, text: string): boolean {
  // Where to go on if what follows the last asterisk does not match: the asterisk takes one character more.
  let retry: { readonly pattern: number; readonly text: number } | undefined
  let [at, index] = [0, 0]
  while (index < text.length) {
    const end = oneAt(pattern, at, text[index]!)
    if (pattern[at] === '*') retry = { pattern: ++at, text: index }
    else if (end !== undefined) [at, index] = [end, index + 1]
    else if (retry) {
      retry = { pattern: retry.pattern, text: retry.text + 1 }
      ;[at, index] = [retry.pattern, retry.text]
    } else return false
  }
  return /^\**$/.test(pattern.slice(at))
}

/** @returns where the pattern goes on behind what stands for one character; undefined if that is not `character` */
function oneAt(pattern: string, at: number, character: string): number | undefined {
  const first = pattern[at]
  const end = first === '[' ? pattern.indexOf(']', at + 2) : -1
  if (end < 0) return first === '?' || first === character ? at + 1 : undefined
  const set = pattern.slice(at + 1, end)
  const isNegative = /^[!^]/.test(set)
  const ranges = set.slice(isNegative ? 1 : 0).matchAll(/(.)-(.)|(.)/gs)
  const isIn = [...ranges].some(([, from, to, one]) => one === character || (from! <= character && character <= to!))
  return isIn === isNegative ? undefined : end + 1
}
