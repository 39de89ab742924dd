import { type DefinitionText, definitionFiles, readDefinition, readDropIns } from '../bytes/definition-files.js'
import { assignments, type Specifiers } from '../definition.js'
import { DdiError } from '../errors.js'
import { checkSupplements, checkVerity, settledDefinition } from './definition-checks.js'
import { lists, options, type Place, refused } from './definition-options.js'
import { type PartitionDefinition, unset } from './partition-definition.js'

/**
 * Parses one definition.
 * @param path of its file, for errors
 * @param dropIns files that change it, in their order
 * @throws ERR_DDI_DEFINITION, with the file and the line, for anything that is not understood or not supported
 */
export function parseDefinition(
  text: string,
  path: string,
  specifiers: Specifiers,
  dropIns: readonly DefinitionText[] = [],
): PartitionDefinition {
  let fields: PartitionDefinition = { path, dropIns: dropIns.map((one) => one.path), ...unset }
  const given: Partial<PartitionDefinition>[] = []
  for (const file of [{ path, text }, ...dropIns]) {
    const refuseLine = (line: number) => (what: string) =>
      new DdiError('ERR_DDI_DEFINITION', `${file.path}:${line}: ${what}`)
    for (const { name, value, line } of assignments(file.text, ['Partition'], refuseLine)) {
      const option = Object.hasOwn(options, name) ? options[name] : undefined
      const why = Object.hasOwn(refused, name) ? `: ${refused[name]}` : ''
      if (!option) throw refuseLine(line)(`${name}= is not supported${why}`)
      const place: Place = { specifiers, refuse: (what) => refuseLine(line)(`${name}=: ${what}`) }
      const set = option(value, place, fields)
      fields = { ...fields, ...set }
      given.push(set)
    }
  }
  // Collected at their end: there may be as many lines as a file has.
  const collected = Object.fromEntries(lists.map((name) => [name, itemsOf(given, name)]))
  return settledDefinition({ ...fields, ...collected })
}

/** The items of all lines of a list, from the last empty one on. */
function itemsOf<Name extends (typeof lists)[number]>(
  given: readonly Partial<PartitionDefinition>[],
  name: Name,
): PartitionDefinition[Name] {
  const lines = given.flatMap((set) => (set[name] ? [set[name]] : []))
  const anew = lines.findLastIndex((line) => line.length === 0)
  return lines.slice(anew + 1).flat() as PartitionDefinition[Name]
}

/**
 * Reads all definitions in directories (`*.conf`, with `*.conf.d/*.conf`), in the order of their names. Of files of one name, that of the
 * first directory counts; what is empty, or a link to /dev/null, masks it.
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_DEFINITION, also if there is none
 */
export async function readDefinitions(
  directories: readonly string[],
  specifiers: Specifiers,
): Promise<readonly PartitionDefinition[]> {
  const definitions: PartitionDefinition[] = []
  for (const [name, path] of await definitionFiles(directories, /\.conf$/)) {
    const { text } = await readDefinition(path)
    definitions.push(parseDefinition(text, path, specifiers, await readDropIns(directories, name)))
  }
  if (definitions.length === 0)
    throw new DdiError('ERR_DDI_DEFINITION', `${directories.join(', ')} has no definitions: no file *.conf`)
  checkVerity(definitions)
  checkSupplements(definitions)
  return definitions
}
