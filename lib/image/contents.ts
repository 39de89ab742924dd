import { dirname, join } from 'node:path'
import { type Metadata, withSlotSuffixes } from '../android/metadata.js'
import { expand } from '../android/sparse.js'
import { readSuper } from '../android/super.js'
import { concatSources } from '../bytes/concat.js'
import { openFile } from '../bytes/file.js'
import { guardSource } from '../bytes/guard.js'
import type { Run, Source } from '../bytes/source.js'
import { freeRuns } from '../disk/allocation.js'
import { logicalVolumes } from '../disk/logical.js'
import { mbrVolumes } from '../disk/mbr.js'
import { nestedVolumes } from '../disk/nested.js'
import { type Orphan, tableVolumes } from '../disk/partition.js'
import { holdsSuper, scanDisk } from '../disk/scan.js'
import { type Volume, wholeImageVolume } from '../disk/volume.js'
import { DdiError, type ErrorCode } from '../errors.js'
import { describeProblem, problemError, refusedTable } from '../gpt/read.js'
import { type Copy, fitToDisk, type StoredGpt } from '../gpt/table.js'

/** Which table an image has, and its defects that do not prevent reading it. */
export type ImageTable =
  | { readonly type: 'gpt'; readonly uuid: string; readonly source: Copy; readonly problems: readonly TableProblem[] }
  /** An Android super partition: `source` is the copy of the metadata that was read. */
  | { readonly type: 'super'; readonly uuid: null; readonly source: Copy; readonly problems: readonly TableProblem[] }
  | { readonly type: 'mbr'; readonly uuid: string; readonly source: null; readonly problems: readonly TableProblem[] }
  | { readonly type: 'none'; readonly uuid: null; readonly source: null; readonly problems: readonly TableProblem[] }

/** What is wrong with a table that is usable nevertheless. */
export interface TableProblem {
  readonly code: ErrorCode
  readonly message: string
}

/** What the table of an image describes. */
export interface Contents {
  /** In bytes. */
  readonly size: number
  /** Of the table, in bytes; 512 if there is none. */
  readonly sectorSize: number
  readonly table: ImageTable
  /** In the table’s order, those of nested tables last; without a table, one volume that is the whole image, taken for a root file system. */
  readonly volumes: readonly Volume[]
  /** Extension partitions that belong to no volume. */
  readonly orphans: readonly Orphan[]
  /** The table’s free space, in runs that start on multiples of 1 MiB. */
  readonly free: readonly Run[]
  /** The base of the volumes’ extents. */
  readonly source: Source
  /** The bytes are an Android sparse image, expanded as they are read; of a super partition, those of any device. */
  readonly isSparse: boolean
}

/** How an image is to be read: `OpenOptions` of `openImage`, and what further devices are looked for by. */
interface Context {
  readonly nested: boolean
  readonly slot: number
  readonly devices: Readonly<Record<string, string | Source>>

  readonly name: string
  readonly path: string | null
  readonly keepOpen: (resource: AsyncDisposable) => void
}

/**
 * Reads the table of an image, and the volumes that it describes.
 * @throws as `imageOn`
 */
export async function readContents(source: Source, context: Context): Promise<Contents> {
  const scan = await scanDisk(source)
  if ('table' in scan) return await gptContents(source, scan, context)
  const isLeftover = scan.code === 'ERR_DDI_GPT_LEFTOVER'
  if (scan.code !== 'ERR_DDI_NO_TABLE' && !isLeftover) throw await refusedTable(source, scan)
  if (await holdsSuper(source)) return await superContents(source, context)
  const problems = isLeftover ? [describe(problemError(scan))] : []
  const mbr = isLeftover ? undefined : await mbrVolumes(source)
  return {
    ...bare(source),
    ...(mbr
      ? { table: { type: 'mbr', uuid: mbr.id, source: null, problems }, volumes: mbr.volumes }
      : {
          table: { type: 'none', uuid: null, source: null, problems },
          volumes: [wholeImageVolume(source.size)],
        }),
  }
}

/** What is the same of all images without a GPT. */
function bare(source: Source) {
  return { size: source.size, sectorSize: 512, orphans: [], free: [], source, isSparse: false }
}

async function gptContents(source: Source, stored: StoredGpt, { nested, slot }: Context): Promise<Contents> {
  const { table, copy, problems: found } = stored
  const { volumes: outer, orphans } = tableVolumes(table)
  const inner = await nestedVolumes(source, outer, { anyType: nested, slot })
  const volumes = [...outer, ...inner.volumes]
  const problems = [
    ...found.map((problem) => ({ code: problem.code, message: describeProblem(problem) })),
    ...volumes.flatMap((one) => (one.state === 'broken' ? [describe(one.defect)] : [])),
    ...inner.defects.map(({ volume, error }) => ({
      code: error.code,
      message: `nested in ${JSON.stringify(volume.label)} (${volume.uuid}): ${error.message}`,
    })),
  ]
  return {
    size: source.size,
    sectorSize: table.sectorSize,
    table: { type: 'gpt', uuid: table.uuid, source: copy, problems },
    volumes,
    orphans,
    free: freeRuns(fitToDisk(stored, source.size)),
    source,
    isSparse: false,
  }
}

async function superContents(first: Source, context: Context): Promise<Contents> {
  const { nested, slot } = context
  const { metadata: unsuffixed, copy, problems } = await readSuper(first, slot)
  const metadata = withSlotSuffixes(unsuffixed, slot)
  const { devices, isSparse } = await openDevices(first, metadata, context)
  const inner = logicalVolumes(
    metadata,
    devices.map(({ source, path }) => ({ path, size: source.size })),
  )
  const source = concatSources(devices.map((device) => device.source))
  return {
    ...bare(source),
    table: { type: 'super', uuid: null, source: copy, problems: problems.map(describe) },
    volumes: nested ? [...inner, ...(await nestedVolumes(source, inner, { anyType: true, slot })).volumes] : inner,
    isSparse,
  }
}

/** The devices that logical partitions lie on, the one with the metadata first. */
async function openDevices(first: Source, { devices }: Metadata, context: Context) {
  const opened: { readonly source: Source; readonly path: string }[] = []
  let isSparse = false
  for (const [index, { name }] of devices.entries()) {
    const device = index === 0 ? { source: first, path: context.name } : await openDevice(name, context)
    opened.push(device)
    if ('sparse' in device && device.sparse) isSparse = true
  }
  return { devices: opened, isSparse }
}

async function openDevice(name: string, { path, devices, keepOpen }: Context) {
  const given = Object.hasOwn(devices, name) ? devices[name] : undefined
  const beside = path === null ? [] : ['.img', ''].map((ending) => join(dirname(path), name + ending))
  if (typeof given === 'object') return { source: (await expand(guardSource(given))).source, path: name }
  const candidates = given === undefined ? beside : [given]
  for (const candidate of candidates) {
    try {
      const file = await openFile(candidate)
      keepOpen(file)
      return { ...(await expand(file)), path: candidate }
    } catch (error) {
      if (!(error instanceof DdiError) || error.code !== 'ERR_DDI_NOT_FOUND') throw error
    }
  }
  const missing = candidates.length > 0 ? `: no ${candidates.join(' or ')}` : ''
  throw new DdiError(
    'ERR_DDI_SUPER_DEVICE',
    `logical partitions lie on the device ${name} too, which is missing${missing}`,
  )
}

function describe({ code, message }: DdiError): TableProblem {
  return { code, message }
}
