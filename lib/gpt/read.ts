import type { Source } from '../bytes/source.js'
import { DdiError, errorCodes } from '../errors.js'
import { otherTable } from './other-tables.js'
import { remainsOf } from './remains.js'
import { scanGpt } from './scan.js'
import type { Copy, Gpt, GptProblem } from './table.js'

/** Describes a problem for people: what is wrong, and where. */
export function describeProblem(problem: GptProblem): string {
  const where = problem.partition === undefined ? `${problem.copy} table` : `partition ${problem.partition}`
  return `${where}: ${errorCodes[problem.code][1]}`
}

/** A problem as an error. */
export function problemError(problem: GptProblem): DdiError {
  const { code, partition } = problem
  return new DdiError(code, describeProblem(problem), partition === undefined ? {} : { partition })
}

/** How many partitions an error names. */
const mostNamed = 8

/**
 * Why the table of a disk is refused: names the kind of another one, and each partition that lies where none may.
 * @throws what `source.read` throws
 */
export async function refusedTable(source: Source, problem: GptProblem): Promise<DdiError> {
  const other = problem.code === 'ERR_DDI_NO_TABLE' ? await otherTable(source) : undefined
  if (other !== undefined) return new DdiError(problem.code, `the disk has ${other}, and no GPT`)
  const isOfPlaces = problem.partition !== undefined || problem.code === 'ERR_DDI_GPT_TRUNCATED'
  const remains = isOfPlaces ? await remainsOf(source) : undefined
  if (!remains) return problemError(problem)
  const { copy, misplaced } = remains
  const named = misplaced.slice(0, mostNamed).map(({ partition: { number, label }, why }) => {
    return `partition ${number}${label ? ` (${JSON.stringify(label)})` : ''} ${why}`
  })
  if (misplaced.length > mostNamed) named.push(`so do ${misplaced.length - mostNamed} more`)
  const which = named.join('; ') || 'all partitions are whole, and only the end of the table is missing'
  const first = misplaced[0]?.partition.number
  return new DdiError(
    problem.code,
    `${copy} table: ${errorCodes[problem.code][1]}: ${which}`,
    first === undefined ? {} : { partition: first },
  )
}

/**
 * Reads the GUID Partition Table of a disk (UEFI specification 2.10, section 5.3), of any sector size from 512 to 4096.
 * @param source the disk; `memorySource(bytes)` and `openFile(path)` make one
 * @returns the table, the copy it was read from, and what is wrong nevertheless
 * @throws ERR_DDI_NO_TABLE if there is none, else the `ERR_DDI_GPT_…` code of what is wrong with it
 */
export async function readGpt(source: Source): Promise<{ table: Gpt; copy: Copy; problems: readonly GptProblem[] }> {
  const scan = await scanGpt(source)
  if ('code' in scan) throw await refusedTable(source, scan)
  return scan
}
