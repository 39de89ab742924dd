import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type FileSource, type FileTarget, openFile, openFileForWriting } from '../bytes/file.js'
import { refuseNewFile, writeNewFile } from '../bytes/new-file.js'
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
  if ((await kindOf(path, run)) === 'new') {
    await refuseBeside(kept, path, run, replace)
    return await writeNewFile(path, run.start + run.length, (file) => write(file, run), { replace })
  }
  await using file = await openFileForWriting(path)
  await refuseIn(kept, file, run, replace)
  const { size } = file
  try {
    if (size < run.start + run.length) await file.truncate(run.start + run.length)
    return await write(file, run)
  } catch (error) {
    // By now, its path may lead to another file.
    if (file.kind === 'file') await file.truncate(size)
    throw error
  }
}

/** Refuses what {@link writeBeside} would refuse before it writes. @throws as that */
export async function refuseBeside(kept: readonly Kept[], path: string, run: Run, replace: boolean): Promise<void> {
  if ((await kindOf(path, run)) === 'there') {
    await using file = await openFile(path)
    return await refuseIn(kept, file, run, replace)
  }
  const there = await statIfAny(path)
  if (there) await refuseOverlap(kept, path, { ground: `file ${there.dev}:${there.ino}`, start: 0 }, Infinity)
  await refuseNewFile(path, { replace })
}

/** Whether a run is of something that is there, or of a new file. */
async function kindOf(path: string, { start }: Run): Promise<'there' | 'new'> {
  const there = await statIfAny(path)
  return there?.isBlockDevice() || (there?.isFile() && start > 0) ? 'there' : 'new'
}

async function refuseIn(kept: readonly Kept[], file: FileSource, run: Run, replace: boolean): Promise<void> {
  const { path, kind, size } = file
  const end = run.start + run.length
  if (kind === 'block-device' && size < end)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${path} has ${size} bytes, and ${run.length} from byte ${run.start} are needed`,
      { needed: end, free: size },
    )
  const { ground, start } = await placeOf(file)
  await refuseOverlap(kept, path, { ground, start: start + run.start }, run.length)
  if (replace) return
  if (kind === 'file' && run.start < size)
    throw new DdiError('ERR_DDI_EXISTS', `${path} exists and has ${size} bytes: what is at ${run.start} would be lost`)
  const held = kind === 'file' ? undefined : await heldBy(file)
  if (held !== undefined)
    throw new DdiError('ERR_DDI_EXISTS', `${path} holds data already, which would be lost: ${held} exists on it`)
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

/** @returns undefined if nothing is there @throws ERR_DDI_PERMISSION */
export async function statIfAny(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot stat ${path}`)
  }
}
