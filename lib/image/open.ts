import { dirname, join } from 'node:path'
import { type Metadata, withSlotSuffixes } from '../android/metadata.js'
import { expand } from '../android/sparse.js'
import { readSuper } from '../android/super.js'
import { concatSources } from '../bytes/concat.js'
import { extentSource } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { guardSource } from '../bytes/guard.js'
import type { Run, Source } from '../bytes/source.js'
import { freeRuns } from '../disk/allocation.js'
import { logicalVolumes } from '../disk/logical.js'
import { nestedVolumes } from '../disk/nested.js'
import { type Orphan, tableVolumes } from '../disk/partition.js'
import { holdsSuper, scanDisk } from '../disk/scan.js'
import { findByName, requireWhole, type Volume, wholeImageVolume } from '../disk/volume.js'
import { DdiError, type ErrorCode } from '../errors.js'
import { fitToDisk } from '../gpt/commit.js'
import { describeProblem, problemError, refusedTable } from '../gpt/read.js'
import type { Copy, StoredGpt } from '../gpt/table.js'
import { checkOptions, type OptionNames } from '../options.js'

/** Which table an image has, and its defects that do not prevent reading it. */
export type ImageTable =
  | { readonly type: 'gpt'; readonly uuid: string; readonly source: Copy; readonly problems: readonly TableProblem[] }
  /** An Android super partition: `source` is the copy of the metadata that was read. */
  | { readonly type: 'super'; readonly uuid: null; readonly source: Copy; readonly problems: readonly TableProblem[] }
  | { readonly type: 'none'; readonly uuid: null; readonly source: null; readonly problems: readonly TableProblem[] }

export interface TableProblem {
  readonly code: ErrorCode
  readonly message: string
}

/** An open image: its bytes, and the volumes that its table describes. Close it, or declare it with `await using`. */
export interface Image extends AsyncDisposable {
  /** For messages, and to name attachments after: the path, for an image that was opened by its path. */
  readonly name: string
  /** The file or block device that side files (`IMAGE.roothash`, `IMAGE.verity`, …) lie beside; null if it has none. */
  readonly path: string | null
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
  /** Keeps something open until the image is closed. */
  keepOpen(resource: AsyncDisposable): void
  close(): Promise<void>
}

export interface OpenOptions {
  /** Looks for a GPT in every volume, not only in those whose type says that they hold one. Default: false. */
  readonly nested?: boolean
  /** Of an Android super partition: which slot's metadata to read, 0 for a. Default: 0. */
  readonly slot?: number
  /**
   * The further devices of an Android super partition by their names: paths, or sources of their bytes. Default: NAME.img or NAME
   * beside the image.
   */
  readonly devices?: Readonly<Record<string, string | Source>>
}
export const openOptionNames: OptionNames<OpenOptions> = { nested: true, slot: true, devices: true }

export interface ImageOnOptions extends OpenOptions {
  /** For messages, and to name attachments after. */
  readonly name: string
  /** The file that side files lie beside. Default: null, none are looked for. */
  readonly path?: string | null
}
const imageOnOptionNames: OptionNames<ImageOnOptions> = { ...openOptionNames, name: true, path: true }

/**
 * Opens a disk image or block device and reads its table. An Android sparse image is expanded as it is read. Nothing is
 * written, and no privileges are needed beyond reading it.
 * @param path of a regular file or block device
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_IMAGE_KIND, and as {@link imageOn}
 */
export async function openImage(path: string, options: OpenOptions = {}): Promise<Image> {
  checkOptions(options, openOptionNames, 'openImage')
  const file = await openFile(path)
  try {
    const image = await imageOn(file, { ...options, name: path, path })
    image.keepOpen(file)
    return image
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * Reads the table of an image that any source holds: memory, a volume of a disk, … An Android sparse image is expanded as it is
 * read. Closing the image does not close the source.
 * @throws ERR_DDI_USAGE for an unknown option, ERR_DDI_IMAGE_EMPTY, ERR_DDI_SPARSE_FORMAT, ERR_DDI_SUPER_DEVICE, and for a broken table the `ERR_DDI_GPT_…` or
 *   `ERR_DDI_SUPER_…` code that says how
 */
export async function imageOn(given: Source, options: ImageOnOptions): Promise<Image> {
  checkOptions(options, imageOnOptionNames, 'imageOn')
  const { name, path = null, nested = false, slot = 0 } = options
  if (given.size === 0) throw new DdiError('ERR_DDI_IMAGE_EMPTY', `${name} is empty`)
  const resources: AsyncDisposable[] = []
  const close = async () => {
    for (const resource of resources.splice(0)) await resource[Symbol.asyncDispose]()
  }
  const keepOpen = (resource: AsyncDisposable) => void resources.push(resource)
  try {
    const { source, sparse } = await expand(guardSource(given))
    const contents = await readContents(source, { name, path, nested, slot, devices: options.devices ?? {}, keepOpen })
    const isSparse = sparse !== undefined
    return { name, path, isSparse, ...contents, keepOpen, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * The bytes of a volume of an image.
 * @param name the volume’s UUID, or a label that no other volume has
 * @throws ERR_DDI_NO_VOLUME, and the defect of a broken volume
 */
export function volumeSource({ source, volumes, name: image }: Image, name: string): Source {
  return extentSource(source, requireWhole(findByName(volumes, name, image)).extents)
}

type Contents = Pick<Image, 'size' | 'sectorSize' | 'table' | 'volumes' | 'orphans' | 'free' | 'source'> &
  Partial<Pick<Image, 'isSparse'>>

interface Context extends Required<OpenOptions> {
  readonly name: string
  readonly path: string | null
  readonly keepOpen: (resource: AsyncDisposable) => void
}

async function readContents(source: Source, context: Context): Promise<Contents> {
  const scan = await scanDisk(source)
  if ('table' in scan) return await gptContents(source, scan, context)
  const isLeftover = scan.code === 'ERR_DDI_GPT_LEFTOVER'
  if (scan.code !== 'ERR_DDI_NO_TABLE' && !isLeftover) throw await refusedTable(source, scan)
  if (await holdsSuper(source)) return await superContents(source, context)
  return {
    size: source.size,
    sectorSize: 512,
    table: { type: 'none', uuid: null, source: null, problems: isLeftover ? [describe(problemError(scan))] : [] },
    volumes: [wholeImageVolume(source.size)],
    orphans: [],
    free: [],
    source,
  }
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
    size: source.size,
    sectorSize: 512,
    table: { type: 'super', uuid: null, source: copy, problems: problems.map(describe) },
    volumes: nested ? [...inner, ...(await nestedVolumes(source, inner, { anyType: true, slot })).volumes] : inner,
    orphans: [],
    free: [],
    source,
    ...(isSparse && { isSparse }),
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
