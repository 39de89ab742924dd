/**
 * Parses an os-release file and its like, os-release(5): shell assignments with plain quoting, and nothing else of the shell.
 * @returns values by their names; lines that are not assignments are skipped
 */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line.trim()) ?? []
    if (name !== undefined && value !== undefined) fields.set(name, unquote(value))
  }
  return fields
}

function unquote(value: string): string {
  const single = /^'([^']*)'$/.exec(value)
  if (single) return single[1]!
  const double = /^"((?:[^"\\]|\\.)*)"$/s.exec(value)
  return (double ? double[1]! : value).replace(/\\(["$`\\])/g, '$1')
}
