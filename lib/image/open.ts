import { dirname, join } from 'node:path'
import { type Metadata, withSlotSuffixes } from '../android/metadata.js'
import { expand } from '../android/sparse.js'
import { isSuper, readSuper } from '../android/super.js'
import { joinSources } from '../bytes/extents.js'
import { type FileSource, openFile } from '../bytes/file.js'
import type { Run, Source } from '../bytes/source.js'
import { freeRuns } from '../disk/allocation.js'
import { logicalVolumes } from '../disk/logical.js'
import { nestedVolumes } from '../disk/nested.js'
import { type Orphan, tableVolumes } from '../disk/partition.js'
import { type Volume, wholeImageVolume } from '../disk/volume.js'
import { DdiError, type ErrorCode } from '../errors.js'
import { describeProblem, problemError } from '../gpt/read.js'
import { scanGpt } from '../gpt/scan.js'
import type { Copy } from '../gpt/table.js'
import type { OptionNames } from '../options.js'

/** Which table an image has, and what is wrong with it that does not keep us from reading it. */
export type ImageTable =
  | { readonly type: 'gpt'; readonly uuid: string; readonly source: Copy; readonly problems: readonly TableProblem[] }
  /** An Android super partition: `source` is the copy of the metadata that counts. */
  | { readonly type: 'super'; readonly uuid: null; readonly source: Copy; readonly problems: readonly TableProblem[] }
  | { readonly type: 'none'; readonly uuid: null; readonly source: null; readonly problems: readonly [] }

export interface TableProblem {
  readonly code: ErrorCode
  readonly message: string
}

/** An open image: its bytes, and the volumes that its table describes. Close it, or declare it with `await using`. */
export interface Image extends AsyncDisposable {
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** Of the table, in bytes; 512 where there is none. */
  readonly sectorSize: number
  readonly table: ImageTable
  /** In the table’s order, those of nested tables last; without a table, one volume that is the whole image, taken for a root file system. */
  readonly volumes: readonly Volume[]
  /** Extension partitions that no volume reaches. */
  readonly orphans: readonly Orphan[]
  /** The table’s free space, in runs that start on multiples of 1 MiB. */
  readonly free: readonly Run[]
  /** All the bytes that the extents of the volumes are of. */
  readonly source: Source
  /** The files and devices that hold those bytes, one behind the other; none for an encoding that has to be undone first. */
  readonly bases: readonly FileSource[]
  close(): Promise<void>
}

export interface OpenOptions {
  /** Looks for a GPT in every volume, not only in those whose type says that they hold one. Default: false. */
  readonly nested?: boolean
  /** Of an Android super partition: which slot's metadata counts, 0 for a. Default: 0. */
  readonly slot?: number
  /** Paths of the further devices of an Android super partition, by their names. Default: NAME.img or NAME beside the image. */
  readonly devices?: Readonly<Record<string, string>>
}
export const openOptionNames: OptionNames<OpenOptions> = { nested: true, slot: true, devices: true }

/**
 * Opens a disk image or block device and reads its table. An Android sparse image is expanded as it is read. Nothing is
 * written, and no privileges are needed beyond reading it.
 * @param path of a regular file or block device
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_IMAGE_KIND, ERR_DDI_IMAGE_EMPTY, ERR_DDI_SPARSE_FORMAT, and for a
 *   broken table the `ERR_DDI_GPT_…` or `ERR_DDI_SUPER_…` code that says how
 */
export async function openImage(path: string, options: OpenOptions = {}): Promise<Image> {
  const { nested = false, slot = 0 } = options
  const files = [await openFile(path)]
  const close = async () => {
    for (const file of files) await file.close()
  }
  try {
    const first = await expanded(files[0]!)
    const { source, bases } = first
    const image = { path, size: source.size, source, bases, close, [Symbol.asyncDispose]: close }
    const scan = await scanGpt(source)
    if ('table' in scan) {
      const { table, copy } = scan
      const { volumes: outer, orphans } = tableVolumes(table)
      const inner = await nestedVolumes(source, outer, nested ? 'any' : 'typed', slot)
      const volumes = [...outer, ...inner.volumes]
      const defects = volumes.flatMap((one) => (one.state === 'broken' ? [describe(one.defect)] : []))
      const unread = inner.defects.map(({ volume, error }) => ({
        code: error.code,
        message: `nested in ${JSON.stringify(volume.label)} (${volume.uuid}): ${error.message}`,
      }))
      const problems = scan.problems.map((problem) => ({ code: problem.code, message: describeProblem(problem) }))
      return {
        ...image,
        sectorSize: table.sectorSize,
        table: { type: 'gpt', uuid: table.uuid, source: copy, problems: [...problems, ...defects, ...unread] },
        volumes,
        orphans,
        free: freeRuns(table),
      }
    }
    if (scan.code !== 'ERR_DDI_NO_TABLE') throw problemError(scan)
    const plain = { ...image, sectorSize: 512, orphans: [], free: [] }
    if (await isSuper(source)) {
      const { metadata: unsuffixed, copy, problems } = await readSuper(source, slot)
      const metadata = withSlotSuffixes(unsuffixed, slot)
      const devices = await openDevices(path, metadata, first, options.devices ?? {}, files)
      const whole = joinSources(devices.map((device) => device.source))
      const inner = logicalVolumes(
        metadata,
        devices.map((device) => device.source.size),
      )
      return {
        ...plain,
        size: whole.size,
        source: whole,
        bases: devices.some((device) => device.bases.length === 0) ? [] : files,
        table: { type: 'super', uuid: null, source: copy, problems: problems.map(describe) },
        volumes: nested ? [...inner, ...(await nestedVolumes(whole, inner, 'any', slot)).volumes] : inner,
      }
    }
    return {
      ...plain,
      table: { type: 'none', uuid: null, source: null, problems: [] },
      volumes: [wholeImageVolume(source.size)],
    }
  } catch (error) {
    await close()
    throw error
  }
}

interface Expanded {
  readonly source: Source
  readonly bases: readonly FileSource[]
}

async function expanded(file: FileSource): Promise<Expanded> {
  const { source, sparse } = await expand(file)
  return { source, bases: sparse ? [] : [file] }
}

/** Opens what logical partitions lie on besides the device with the metadata, into `files`. */
async function openDevices(
  path: string,
  { devices }: Metadata,
  first: Expanded,
  given: Readonly<Record<string, string>>,
  files: FileSource[],
): Promise<readonly Expanded[]> {
  const opened: Expanded[] = []
  const candidates = (name: string) =>
    given[name] === undefined ? ['.img', ''].map((ending) => join(dirname(path), name + ending)) : [given[name]]
  for (const [index, { name, size }] of devices.entries()) {
    if (index > 0) files.push(await openDevice(name, candidates(name)))
    const device = index > 0 ? await expanded(files[index]!) : first
    if (device.source.size < size)
      throw new DdiError(
        'ERR_DDI_SUPER_DEVICE',
        `${files[index]!.path} has ${device.source.size} bytes, and the metadata says that ${name} has ${size}`,
      )
    opened.push(device)
  }
  return opened
}

async function openDevice(name: string, candidates: readonly string[]): Promise<FileSource> {
  for (const candidate of candidates) {
    try {
      return await openFile(candidate)
    } catch (error) {
      if (!(error instanceof DdiError) || error.code !== 'ERR_DDI_NOT_FOUND') throw error
    }
  }
  throw new DdiError(
    'ERR_DDI_SUPER_DEVICE',
    `logical partitions lie on ${name} too, and ${candidates.join(' and ')} are not there: say where it is with --device ${name}=PATH`,
  )
}

function describe({ code, message }: DdiError): TableProblem {
  return { code, message }
}

/**
 * What the extents of an image's volumes are of.
 * @throws ERR_DDI_SPARSE_ENCODED for an Android sparse image, whose bytes do not lie in its file as they are
 */
export function requireBases({ path, bases }: Image): readonly [FileSource, ...FileSource[]] {
  const [first, ...others] = bases
  if (!first)
    throw new DdiError(
      'ERR_DDI_SPARSE_ENCODED',
      `${path} is an Android sparse image, which can be read, but neither attached nor changed: write it out with \`ddi-attach android convert\` first`,
    )
  return [first, ...others]
}
