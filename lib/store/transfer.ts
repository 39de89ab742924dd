import { join } from 'node:path'
import { type DefinitionText, definitionFiles, readDefinition, readDropIns } from '../bytes/definition-files.js'
import { readIfThere } from '../bytes/small-file.js'
import { assignments, booleanOf, expandSpecifiers, type Refuse, type Specifiers, wordsIn } from '../definition.js'
import { DdiError } from '../errors.js'
import { machineArchitectures } from '../image/architecture.js'
import { parseOsRelease } from '../image/os-release.js'
import { machineFacts } from '../kernel/machine-facts.js'
import type { ListingForm } from './listing.js'
import { requireProduct } from './names.js'
import { type MatchPattern, parsePattern, productIn } from './pattern.js'

/** Where the images of a product come from, and where they go: the sections of a definition of sysupdate.d(5). */
/** Where versions come from: a folder of this machine, or one of a server with `SHA256SUMS` or, where `listing` says so, without. */
export interface TransferSource {
  readonly type: 'url-file' | 'regular-file'
  readonly path: string
  readonly listing?: ListingForm
}

/** Where updates of a product come from, as a definition of sysupdate.d(5) says. */
export interface Transfer {
  readonly product: string
  readonly source: TransferSource
  /** Of names in the source; the first that matches counts. */
  readonly patterns: readonly MatchPattern[]
  /** Older versions are not installed. */
  readonly minVersion: string | null
  /** Versions that make no room. */
  readonly protectVersions: readonly string[]
  /** Whether the list of checksums has to be signed, or, where there is none, the image itself. */
  readonly verify: boolean
  /** Path of the disk; null: whichever disk of this machine has images of the product. */
  readonly disk: string | null
  /** How many images of the product are kept at most; null: as many as fit. */
  readonly instancesMax: number | null
}

/** A definition, and the options in it that have no effect here. */
export interface ReadTransfer extends Transfer {
  /** Of its file. */
  readonly path: string
  readonly ignored: readonly string[]
}

interface Fields {
  readonly sourceType: string
  readonly sourcePath: string
  readonly sourcePatterns: readonly MatchPattern[]
  readonly targetType: string
  readonly targetPath: string
  readonly targetPatterns: readonly MatchPattern[]
  readonly minVersion: string | null
  readonly protectVersions: readonly string[]
  readonly verify: boolean
  readonly instancesMax: number | null
}

const unset: Fields = {
  sourceType: '',
  sourcePath: '',
  sourcePatterns: [],
  targetType: '',
  targetPath: 'auto',
  targetPatterns: [],
  minVersion: null,
  protectVersions: [],
  verify: true,
  instancesMax: null,
}

type Option = (value: string, refuse: Refuse, fields: Fields) => Partial<Fields>

/** More versions or patterns than this are a mistake. */
const longestList = 256

/** An empty line begins a list anew. */
function appended<Item>(list: readonly Item[], more: readonly Item[], refuse: Refuse): readonly Item[] {
  if (more.length === 0) return []
  if (list.length + more.length > longestList) throw refuse(`more than ${longestList} of them are not supported`)
  return [...list, ...more]
}

/** The patterns in a value, behind those before it. */
function patternsIn(value: string, before: readonly MatchPattern[], refuse: Refuse): readonly MatchPattern[] {
  const texts = appended<string>([], wordsIn(value), refuse)
  return appended(before, texts.map(parsePattern), refuse)
}

const options: Readonly<Record<string, Option>> = {
  'Transfer MinVersion': (value) => ({ minVersion: value }),
  'Transfer ProtectVersion': (value, refuse, { protectVersions }) => ({
    protectVersions: appended(protectVersions, wordsIn(value), refuse),
  }),
  'Transfer Verify': (value, refuse) => ({ verify: booleanOf(value, refuse) }),
  'Source Type': (value) => ({ sourceType: value }),
  'Source Path': (value) => ({ sourcePath: value }),
  'Source MatchPattern': (value, refuse, { sourcePatterns }) => ({
    sourcePatterns: patternsIn(value, sourcePatterns, refuse),
  }),
  'Target Type': (value) => ({ targetType: value }),
  'Target Path': (value) => ({ targetPath: value }),
  'Target MatchPattern': (value, refuse, { targetPatterns }) => ({
    targetPatterns: patternsIn(value, targetPatterns, refuse),
  }),
  'Target InstancesMax': (value, refuse) => {
    if (!/^\d{1,4}$/.test(value) || Number(value) < 2)
      throw refuse(`${JSON.stringify(value)} is not a number from 2: the image that runs and a new one are two`)
    return { instancesMax: Number(value) }
  },
}

/** What would make a definition mean something else if it had no effect. */
const refused: readonly string[] = ['Transfer Features', 'Transfer RequisiteFeatures', 'Target PathRelativeTo']

/**
 * Parses a definition.
 * @param path of its file, for errors
 * @param dropIns files that change it, in their order
 * @returns undefined if its target is no store: others do those
 * @throws ERR_DDI_DEFINITION, with the line
 */
export function parseTransfer(
  text: string,
  path: string,
  specifiers: Specifiers,
  dropIns: readonly DefinitionText[] = [],
): ReadTransfer | undefined {
  const files = [{ path, text }, ...dropIns]
  // What others may write into their definitions is theirs to know.
  if (!files.some((file) => /^[ \t]*Type[ \t]*=[ \t]*ddi-store[ \t\r]*$/m.test(file.text))) return undefined
  const all = files.flatMap((file) => {
    const refuseLine = (line: number) => (what: string) =>
      new DdiError('ERR_DDI_DEFINITION', `${file.path}:${line}: ${what}`)
    return [...assignments(file.text, ['Transfer', 'Source', 'Target'], refuseLine)].map(({ line, ...one }) => {
      return { ...one, refuse: (what: string) => refuseLine(line)(`${one.name}=: ${what}`) }
    })
  })
  if (all.findLast(({ section, name }) => section === 'Target' && name === 'Type')?.value !== 'ddi-store')
    return undefined
  let fields = unset
  const ignored: string[] = []
  for (const { section, name, value, refuse } of all) {
    const option = Object.hasOwn(options, `${section} ${name}`) ? options[`${section} ${name}`] : undefined
    if (refused.includes(`${section} ${name}`)) throw refuse('not supported for stores')
    if (option) fields = { ...fields, ...option(expandSpecifiers(value, specifiers, refuse), refuse, fields) }
    else ignored.push(`[${section}] ${name}=`)
  }
  return { path, ignored, ...transferOf(fields, (what) => new DdiError('ERR_DDI_DEFINITION', `${path}: ${what}`)) }
}

function transferOf(fields: Fields, refuse: Refuse): Transfer {
  const { sourceType: type, sourcePath: path, sourcePatterns: patterns, targetPatterns, targetPath } = fields
  if (type !== 'url-file' && type !== 'regular-file')
    throw refuse(`[Source] Type=${type} is not supported for stores: url-file or regular-file`)
  if (path === '') throw refuse('[Source] Path= is missing')
  if (patterns.length === 0) throw refuse('[Source] MatchPattern= is missing')
  const product = productIn(targetPatterns[0] ?? patterns[0]!)
  if (product === undefined)
    throw refuse('which product it is for cannot be told: write [Target] MatchPattern=PRODUCT_@v')
  requireProduct(product)
  const { minVersion, protectVersions, verify, instancesMax } = fields
  const disk = targetPath === 'auto' ? null : targetPath
  return { product, source: { type, path }, patterns, minVersion, protectVersions, verify, disk, instancesMax }
}

/** Where definitions are, below the root directory, in the order in which a file of one name counts. */
export const transferDirectories = ['etc', 'run', 'usr/local/lib', 'usr/lib'].map(
  (directory) => `${directory}/sysupdate.d`,
)

/**
 * Reads the definitions of sysupdate.d(5) whose target is a store (`*.transfer`, `*.conf`), with what changes them
 * (`NAME.transfer.d/*.conf`), in the order of their names.
 * @param root the root directory to look for them in. Default: /
 * @throws ERR_DDI_DEFINITION, ERR_DDI_PERMISSION
 */
export async function readTransfers(root = '/'): Promise<readonly ReadTransfer[]> {
  const directories = transferDirectories.map((directory) => join(root, directory))
  const specifiers = await machineSpecifiers(root)
  const transfers: ReadTransfer[] = []
  for (const [name, path] of await definitionFiles(directories, /\.(transfer|conf)$/, true)) {
    const { text } = await readDefinition(path)
    const transfer = parseTransfer(text, path, specifiers, await readDropIns(directories, name))
    if (transfer) transfers.push(transfer)
  }
  return transfers
}

async function machineSpecifiers(root: string): Promise<Specifiers> {
  const read = async (path: string) => (await readIfThere(join(root, path)))?.toString()
  const osRelease = (await read('etc/os-release')) ?? (await read('usr/lib/os-release'))
  return {
    osRelease: parseOsRelease(osRelease ?? ''),
    architecture: machineArchitectures()[0] ?? '',
    machine: await machineFacts(await read('etc/machine-id')),
  }
}
