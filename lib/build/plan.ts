// What a build comes to: which partitions there will be, and where.
import { stat } from 'node:fs/promises'
import { readSmallFile } from '../bytes/small-file.js'
import type { Specifiers } from '../definition.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { type Designator, dpsTypes } from '../gpt/dps-types.js'
import type { Gpt } from '../gpt/table.js'
import { parseOsRelease } from '../image/os-release.js'
import { machineFacts } from '../kernel/machine-facts.js'
import { placements } from '../mount/places.js'
import { isMissing, resolveInRoot } from '../mount/root.js'
import { chosen, deferred } from './choice.js'
import type { BuildContext, BuildSettings } from './context.js'
import { copiedDefinitions } from './copied.js'
import { checkVerity } from './definition-checks.js'
import { readDefinitions } from './definitions.js'
import { draftPartitions, type MatchedDefinition, matchDefinitions, namePartitions } from './draft.js'
import { layOut, type PlacedDraft } from './layout.js'
import { writeMountTables } from './mount-tables.js'
import type { PartitionDefinition } from './partition-definition.js'
import { type Merging, mergeSupplements } from './supplements.js'

export interface Plan {
  /** In the order of their definitions. */
  readonly placed: readonly PlacedDraft[]
  /** Of a new image that is as small as possible, in bytes. */
  readonly size: number
  /** Files that were left out, for people. */
  readonly warnings: readonly string[]
}

/**
 * Reads the definitions that a build is of.
 * @throws ERR_DDI_DEFINITION, ERR_DDI_NOT_FOUND, ERR_DDI_USAGE for types that are unknown, and as {@link copiedDefinitions}
 */
export async function wantedDefinitions(
  directories: readonly string[],
  settings: BuildSettings,
): Promise<readonly PartitionDefinition[]> {
  const { copyFrom, output, grainSize, signer, keyFile } = settings
  const copies = await copiedDefinitions(copyFrom, output, grainSize)
  const read =
    directories.length === 0 && copies.length > 0
      ? []
      : await readDefinitions(directories, await specifiersOf(settings))
  const wanted = [...copies, ...read].filter(chosen(settings))
  checkVerity(wanted)
  const isDeferred = deferred(settings)
  for (const one of wanted) {
    const { path, verity, encrypt, encryptedVolume, keyFile: own } = one
    const refuse = (what: string) => new DdiError('ERR_DDI_DEFINITION', `${path}: ${what}`)
    if (isDeferred(one) && (verity === 'data' || verity === 'hash'))
      throw refuse('data under verity and their trees cannot be deferred: their UUIDs follow from the root hash')
    if (isDeferred(one) && settings.crypttab !== undefined && encryptedVolume?.fixesKey)
      throw refuse('a partition with fixate-volume-key cannot be deferred: its key is not made yet')
    if (isDeferred(one)) continue
    if (verity === 'signature' && !signer) throw refuse('Verity=signature needs a key and a certificate')
    if (encrypt) await requireKey(own ?? keyFile, refuse)
  }
  return wanted
}

/** An empty key file would encrypt with what anybody can type. */
async function requireKey(path: string | undefined, refuse: (what: string) => DdiError): Promise<void> {
  if (path === undefined) throw refuse('Encrypt= needs a key file')
  const stats = await stat(path).catch((error: unknown) => {
    throw systemError(error, `cannot read ${path}`)
  })
  if (stats.isFile() && stats.size === 0) throw refuse(`the key file ${path} is empty`)
}

/** Where the file systems of other partitions than the root belong. */
export function coveredPlaces(definitions: readonly PartitionDefinition[]): readonly string[] {
  const designators = new Set(definitions.map(({ typeUuid }) => dpsTypes.get(typeUuid)?.designator))
  const of = (designator: Designator) => (designators.has(designator) ? designator : undefined)
  return placements(of).flatMap(({ designator, places }) =>
    designator === 'root' ? [] : places.map((one) => `${one}/`),
  )
}

/**
 * Gives each partition a name, contents, size and place.
 * @param table of the disk, or an empty one; undefined: a new image as small as possible
 * @throws ERR_DDI_DEFINITION, ERR_DDI_NO_SPACE, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function planPartitions(
  definitions: readonly PartitionDefinition[],
  table: Gpt | undefined,
  context: BuildContext,
): Promise<Plan> {
  const attempt = async (merging: Merging) =>
    await planMerged(mergeSupplements(definitions, table, merging), table, {
      ...context,
      prefix: `${context.prefix}.${merging}`,
    })
  if (definitions.every(({ supplementFor }) => supplementFor === null)) return await attempt('apart')
  try {
    return await attempt('merged')
  } catch (error) {
    if (!(error instanceof DdiError) || error.code !== 'ERR_DDI_NO_SPACE') throw error
    return await attempt('apart')
  }
}

async function planMerged(
  definitions: readonly PartitionDefinition[],
  table: Gpt | undefined,
  context: BuildContext,
): Promise<Plan> {
  const matched = matchDefinitions(definitions, table?.partitions ?? [])
  refuseHalves(matched, context)
  const taken = new Set((table?.partitions ?? []).map(({ uuid }) => uuid))
  const named = namePartitions(matched, taken, context)
  await writeMountTables(named, context)
  const drafts = await draftPartitions(named, context)
  const { sectorSize, grainSize } = context
  const { placed, size } = layOut(drafts, { table, sectorSize, grain: Math.max(grainSize, sectorSize) })
  return { placed, size, warnings: drafts.flatMap(({ skipped }) => skipped) }
}

/** Trees are made together with their data; signatures that were made somewhere else may come later. @throws ERR_DDI_DEFINITION */
function refuseHalves(matched: readonly MatchedDefinition[], { signer }: BuildContext): void {
  for (const { definition, there } of matched) {
    const { verity, path, verityMatchKey } = definition
    if (verity === 'off' || there || (verity === 'signature' && signer?.kind === 'made')) continue
    if (matched.some((one) => one.there && isPartner(one.definition, definition)))
      throw new DdiError(
        'ERR_DDI_DEFINITION',
        `${path}: others of VerityMatchKey=${verityMatchKey} are on the disk already: all of them are made together`,
      )
  }
}

function isPartner(one: PartitionDefinition, other: PartitionDefinition): boolean {
  return one.verity !== 'off' && one.verityMatchKey === other.verityMatchKey
}

async function specifiersOf({ root, architecture }: BuildSettings): Promise<Specifiers> {
  const machineId = await inTree(root, 'etc/machine-id')
  const osRelease = (await inTree(root, 'etc/os-release')) ?? (await inTree(root, 'usr/lib/os-release')) ?? ''
  return { architecture, osRelease: parseOsRelease(osRelease), machine: await machineFacts(machineId) }
}

async function inTree(root: string, path: string): Promise<string | undefined> {
  try {
    return (await readSmallFile(await resolveInRoot(root, path))).toString()
  } catch (error) {
    const cause = error instanceof DdiError ? error.cause : error
    if (isMissing(cause) || systemCode(cause) === 'EISDIR') return undefined
    throw systemError(error, `cannot read ${path} of ${root}`)
  }
}
