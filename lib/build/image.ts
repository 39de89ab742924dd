import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { refuseExisting } from '../bytes/new-file.js'
import { openScratch } from '../bytes/scratch.js'
import { readSmallFile } from '../bytes/small-file.js'
import type { Run } from '../bytes/source.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { parseOsRelease } from '../image/os-release.js'
import { isMissing, resolveInRoot } from '../mount/root.js'
import { aborted } from '../work.js'
import { assemble, splitOff, splitPath } from './assemble.js'
import { type BuildContext, type BuildOptions, type BuildSettings, buildSettings } from './context.js'
import { type PartitionDefinition, readDefinitions } from './definitions.js'
import { draftPartitions } from './draft.js'
import { fill } from './fill.js'
import { derivedUuid } from './identifiers.js'
import { layOut } from './layout.js'
import { type ProtectedDraft, protect } from './protect.js'
import { imageTable } from './table.js'

export interface BuiltPartition {
  /** Path of its definition. */
  readonly definition: string
  readonly typeUuid: string
  readonly uuid: string
  readonly label: string
  /** In bytes. */
  readonly size: number
  /** More than one for those with `Dynamic=yes`. */
  readonly extents: readonly Run[]
  /** In hexadecimal, if a hash tree covers the partition, or it is part of what does; else null. */
  readonly rootHash: string | null
  /** The file that `split` wrote; null if none. */
  readonly splitPath: string | null
}

export interface BuiltImage {
  readonly path: string
  /** In bytes. */
  readonly size: number
  readonly uuid: string
  readonly seed: string
  readonly partitions: readonly BuiltPartition[]
}

/**
 * Builds an image from definitions of partitions, repart.d(5). The file is sparse, and appears under its name when it is
 * complete and on the disk.
 * @param directory with the definitions
 * @param output path of a new file
 * @throws ERR_DDI_USAGE for invalid options, ERR_DDI_DEFINITION, ERR_DDI_NOT_FOUND, ERR_DDI_EXISTS, ERR_DDI_NO_SPACE if the
 *   definitions need more than `size`, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED, and what `sign` throws; no image
 *   is left then
 */
export async function buildImage(directory: string, output: string, options: BuildOptions = {}): Promise<BuiltImage> {
  const settings = buildSettings(output, options)
  const { root, architecture, signal } = settings
  const definitions = await readDefinitions(directory, { architecture, osRelease: await readOsRelease(root) })
  refuseUnsigned(definitions, settings)
  await checkOutput(settings)
  await using scratch = await openScratch(output)
  try {
    return await build(definitions, { ...settings, prefix: scratch.prefix })
  } catch (error) {
    throw signal?.aborted ? aborted(signal) : systemError(error, `cannot build ${output}`)
  }
}

async function build(definitions: readonly PartitionDefinition[], context: BuildContext): Promise<BuiltImage> {
  const { output, seed, sectorSize, split } = context
  const drafts = await draftPartitions(definitions, context)
  const { placed, size } = layOut(drafts, context)
  const filled = await fill(placed, context)
  const partitions = await protect(filled, context)
  const uuid = derivedUuid(seed, 'disk-uuid')
  await assemble(partitions, imageTable(partitions, { size, sectorSize, uuid }), size, context)
  if (split) await splitOff(partitions, context)
  const described = partitions.map((one) => describe(one, split ? splitPath(one, output) : null))
  return { path: output, size, uuid, seed, partitions: described }
}

async function readOsRelease(root: string): Promise<ReadonlyMap<string, string>> {
  for (const path of ['etc/os-release', 'usr/lib/os-release']) {
    try {
      return parseOsRelease((await readSmallFile(await resolveInRoot(root, path))).toString())
    } catch (error) {
      const cause = error instanceof DdiError ? error.cause : error
      if (!isMissing(cause) && systemCode(cause) !== 'EISDIR')
        throw systemError(error, `cannot read ${path} of ${root}`)
    }
  }
  return new Map()
}

function refuseUnsigned(definitions: readonly PartitionDefinition[], { signer }: BuildSettings): void {
  const unsigned = definitions.find(({ verity }) => verity === 'signature')
  if (unsigned && !signer)
    throw new DdiError('ERR_DDI_DEFINITION', `${unsigned.path}: Verity=signature needs a key and a certificate`)
}

async function checkOutput({ output, replace }: BuildSettings): Promise<void> {
  const parent = await stat(dirname(output)).catch(() => undefined)
  if (!parent?.isDirectory())
    throw new DdiError('ERR_DDI_NOT_FOUND', `cannot create ${output}: ${dirname(output)} is not a directory`)
  if (!replace) await refuseExisting(output)
}

function describe(
  { definition, uuid, label, size, runs, rootHash }: ProtectedDraft,
  splitPath: string | null,
): BuiltPartition {
  const { path, typeUuid } = definition
  return { definition: path, typeUuid, uuid, label, size, extents: runs, rootHash, splitPath }
}
