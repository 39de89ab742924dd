import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { refuseNewFile } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import { newGpt } from '../gpt/create.js'
import { checkOptions } from '../options.js'
import { assemble, splitOff } from './assemble.js'
import { type BuiltImage, describePartitions, makeContents, withContext } from './built.js'
import { type BuildOptions, type BuildSettings, buildOptionNames, buildSettings } from './context.js'
import { derivedUuid } from './identifiers.js'
import { planPartitions, wantedDefinitions } from './plan.js'
import { withPartitions } from './table.js'

/**
 * Builds an image from definitions of partitions, repart.d(5). The file is sparse, and appears under its name when it is
 * complete and on the disk.
 * @param directories with the definitions; of files of one name, that of the first directory counts
 * @param output path of a new file
 * @throws ERR_DDI_USAGE for invalid options, ERR_DDI_DEFINITION, ERR_DDI_NOT_FOUND, ERR_DDI_EXISTS, ERR_DDI_NO_SPACE if the
 *   definitions need more than `size`, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED, and what `sign` throws; no image
 *   is left then
 */
export async function buildImage(
  directories: string | readonly string[],
  output: string,
  options: BuildOptions = {},
): Promise<BuiltImage> {
  checkOptions(options, buildOptionNames, 'buildImage')
  const settings = buildSettings(output, options)
  const definitions = await wantedDefinitions([directories].flat(), settings)
  await checkOutput(settings)
  return await withContext(definitions, settings, async (context) => {
    const { seed, sectorSize, dryRun } = context
    const uuid = derivedUuid(seed, 'disk-uuid')
    const fixed = context.size === undefined ? undefined : newGpt(context.size, sectorSize, uuid)
    const plan = await planPartitions(definitions, fixed, context)
    const size = context.size ?? plan.size
    const facts = { path: output, size, uuid, seed, others: [], warnings: plan.warnings }
    if (dryRun) return { ...facts, partitions: describePartitions(plan, context) }
    const made = await makeContents(plan, context)
    const table = withPartitions(fixed ?? newGpt(size, sectorSize, uuid), made.partitions)
    await assemble(made.partitions, table, size, context)
    await splitOff(made, context)
    return { ...facts, partitions: describePartitions(plan, context, made) }
  })
}

async function checkOutput({ output, replace }: BuildSettings): Promise<void> {
  const parent = await stat(dirname(output)).catch(() => undefined)
  if (!parent?.isDirectory())
    throw new DdiError('ERR_DDI_NOT_FOUND', `cannot create ${output}: ${dirname(output)} is not a directory`)
  await refuseNewFile(output, { replace })
}
