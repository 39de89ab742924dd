import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type FileSource, type FileTarget, openFileForWriting } from '../bytes/file.js'
import { writeNewFile } from '../bytes/new-file.js'
import type { Run } from '../bytes/source.js'
import { heldBy } from '../disk/held.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { type Place, placeOf } from '../kernel/places.js'

/** A file whose first bytes are not to be overwritten. */
export interface Kept {
  readonly file: FileSource
  /** In bytes. */
  readonly size: number
}

interface Writing<Result> {
  readonly write: (file: FileTarget, run: Run) => Promise<Result>
  /** Replaces what the file holds there, or all of it if the run begins it. */
  readonly replace: boolean
}

/**
 * Writes a run of a file: of a new one, of one that exists and keeps the rest, or of a block device.
 * @throws ERR_DDI_USAGE if it would overwrite what is to be kept, whatever the names; ERR_DDI_EXISTS, ERR_DDI_NO_SPACE, and what `write` throws
 */
export async function writeBeside<Result>(
  kept: readonly Kept[],
  path: string,
  run: Run,
  { write, replace }: Writing<Result>,
): Promise<Result> {
  const there = await statIfAny(path)
  if (there?.isBlockDevice()) return await writeDevice(kept, path, run, { write, replace })
  if (there?.isFile() && run.start > 0) return await writeInside(kept, path, run, { write, replace })
  if (there) await refuseOverlap(kept, path, { ground: `file ${there.dev}:${there.ino}`, start: 0 }, Infinity)
  return await writeNewFile(path, run.start + run.length, (file) => write(file, run), { replace })
}

async function writeInside<Result>(
  kept: readonly Kept[],
  path: string,
  run: Run,
  { write, replace }: Writing<Result>,
): Promise<Result> {
  await using file = await openFileForWriting(path)
  const place = await placeOf(file)
  await refuseOverlap(kept, path, { ...place, start: run.start }, run.length)
  if (run.start < file.size && !replace)
    throw new DdiError(
      'ERR_DDI_EXISTS',
      `${path} exists and has ${file.size} bytes: what is at ${run.start} would be lost`,
    )
  const { size } = file
  try {
    if (size < run.start + run.length) await file.truncate(run.start + run.length)
    return await write(file, run)
  } catch (error) {
    // By now, its path may lead to another file.
    await file.truncate(size)
    throw error
  }
}

async function writeDevice<Result>(
  kept: readonly Kept[],
  path: string,
  run: Run,
  { write, replace }: Writing<Result>,
): Promise<Result> {
  await using device = await openFileForWriting(path)
  if (device.size < run.start + run.length)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${path} has ${device.size} bytes, and ${run.length} from byte ${run.start} are needed`,
      { needed: run.start + run.length, free: device.size },
    )
  const { ground, start } = await placeOf(device)
  await refuseOverlap(kept, path, { ground, start: start + run.start }, run.length)
  const held = replace ? undefined : await heldBy(device)
  if (held !== undefined)
    throw new DdiError('ERR_DDI_EXISTS', `${path} holds data already, which would be lost: ${held} exists on it`)
  return await write(device, run)
}

/** @param length of what would be lost, in bytes */
async function refuseOverlap(
  kept: readonly Kept[],
  path: string,
  { ground, start }: Place,
  length: number,
): Promise<void> {
  for (const { file, size } of kept) {
    const place = await placeOf(file)
    if (place.ground === ground && start < place.start + size && place.start < start + length)
      throw new DdiError('ERR_DDI_USAGE', `this would overwrite its data: ${path} lies where ${file.path} does`)
  }
}

async function statIfAny(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot stat ${path}`)
  }
}
