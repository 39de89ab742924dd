/** A module as modules.dep(5) has it. */
export interface ModuleFile {
  /** Relative to the directory of the file. */
  readonly path: string
  /** The paths of what has to be loaded before, the last of them first. */
  readonly needs: readonly string[]
}

/** `virtio_net` of `kernel/drivers/net/virtio-net.ko.xz`. */
export function moduleName(path: string): string {
  return path
    .replace(/^.*\//, '')
    .replace(/\.ko(\.(gz|xz|zst))?$/, '')
    .replaceAll('-', '_')
}

/** The lines of a file that depmod(8) writes, without comments. */
export function indexLines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

/** The modules in the text of `modules.dep`, by their names; a line without a colon has the path ''. */
export function parseDependencies(text: string): ReadonlyMap<string, ModuleFile> {
  return new Map(
    indexLines(text).map((line) => {
      const colon = line.indexOf(':')
      const path = line.slice(0, Math.max(0, colon))
      const needs = line.slice(colon + 1).split(/\s+/)
      return [moduleName(path), { path, needs: path === '' ? [] : [...new Set(needs.filter(Boolean))] }]
    }),
  )
}
