import { randomBytes, randomUUID } from 'node:crypto'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { copy } from '../bytes/copy.js'
import { extentSource, extentTarget, linear, totalLength } from '../bytes/extents.js'
import { createFile, descriptorExtents, openFile } from '../bytes/file.js'
import { refuseExisting, writeNewFile } from '../bytes/new-file.js'
import { alignUp } from '../bytes/runs.js'
import type { Run } from '../bytes/source.js'
import { chainPartitions } from '../disk/chain.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { backupLength, encodeNewDisk, newGpt } from '../gpt/create.js'
import { dpsTypes, partitionTypeName } from '../gpt/dps-types.js'
import type { Write } from '../gpt/encode.js'
import { type Partition, partitionAttributes } from '../gpt/table.js'
import { machineArchitectures } from '../image/architecture.js'
import { parseOsRelease } from '../image/os-release.js'
import { newSuperblock, writeTree } from '../verity/format.js'
import { rootHashUuids } from '../verity/root-hash.js'
import { encodeSignatureRecord } from '../verity/signature.js'
import type { Superblock } from '../verity/superblock.js'
import { layoutTree } from '../verity/tree.js'
import { type PartitionDefinition, readDefinitions } from './definitions.js'
import { fitsContents, makeFileSystem, shrinkFileSystem, stageTree, treeSize } from './file-system.js'
import { derivedUuid, partitionUuid, veritySalt } from './identifiers.js'
import { distribute, grain, type Wish, wholeGrains } from './layout.js'
import { type Signer, sign } from './sign.js'

export interface BuildOptions {
  /** The tree that files are copied from. Default: `/`. */
  readonly root?: string
  /** A UUID that all others are derived from. Default: a random one. */
  readonly seed?: string
  /** Of the image, in bytes. Default: as small as the definitions allow. */
  readonly size?: number
  /** 512, 1024, 2048 or 4096 bytes. Default: 512. */
  readonly sectorSize?: number
  /** The processor that types without one are for. Default: this machine’s. */
  readonly architecture?: string
  /** Signs root hashes, for definitions with `Verity=signature`. */
  readonly signer?: Signer
  /** Seconds since 1970, for all times in the file systems. Default: SOURCE_DATE_EPOCH, else times as they are. */
  readonly epoch?: number
  /** Writes a file for each partition with `SplitName=` too. Default: false. */
  readonly split?: boolean
  /** Replaces files that exist. Default: false. */
  readonly replace?: boolean
  readonly signal?: AbortSignal
}

export interface BuiltPartition {
  /** Of its definition. */
  readonly definition: string
  readonly typeUuid: string
  readonly uuid: string
  readonly label: string
  readonly size: number
  /** More than one for those with `Dynamic=yes`. */
  readonly extents: readonly Run[]
  /** In hexadecimal, for what a hash tree covers. */
  readonly rootHash: string | null
  /** The file that `split` wrote. */
  readonly splitPath: string | null
}

export interface BuiltImage {
  readonly path: string
  readonly size: number
  readonly uuid: string
  readonly seed: string
  readonly partitions: readonly BuiltPartition[]
}

const start = 1024 * 1024
const defaultSize = 10 * 1024 * 1024
const signatureSize = 16 * 1024
const defaultSegment = 1024 * 1024 * 1024
/** No file system of these formats is smaller. */
const smallest: Readonly<Record<string, number>> = {
  ext4: 32 * 1024 * 1024,
  btrfs: 256 * 1024 * 1024,
  xfs: 300 * 1024 * 1024,
  vfat: 2 * 1024 * 1024,
  swap: 40 * 1024,
}

/** A partition as it comes to be. */
interface Draft {
  readonly definition: PartitionDefinition
  readonly label: string
  /** By the seed; root hashes come later. */
  readonly uuid: string
  readonly fileSystemUuid: string
  /** Where its contents are: a file as large as they are. */
  contents: { readonly path: string; readonly size: number } | null
  readonly tree: string | null
}

/**
 * Builds an image from definitions of partitions, repart.d(5): written sparse under another name, flushed, renamed.
 * @param folder with the definitions
 * @param output a new file
 * @throws ERR_DDI_DEFINITION, ERR_DDI_NOT_FOUND, ERR_DDI_EXISTS, ERR_DDI_NO_SPACE where the definitions ask for more than `size`,
 *   ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED, and what `sign` throws; no image is left then
 */
export async function buildImage(folder: string, output: string, options: BuildOptions = {}): Promise<BuiltImage> {
  const { root = '/', seed = randomUUID(), sectorSize = 512, replace = false, signal } = options
  const architecture = options.architecture ?? machineArchitectures()[0] ?? ''
  const definitions = await readDefinitions(folder, { architecture, osRelease: await osReleaseOf(root) })
  refuseUnsigned(definitions, options.signer)
  await checkOutput(output, replace)
  // Beside the image, not in a folder of their own: ext4 would put that elsewhere on the disk, and its files with it.
  const work = join(dirname(output), `.${basename(output)}.${randomBytes(6).toString('hex')}`)
  try {
    const drafts = await draft(definitions, root, seed, work, options)
    const { runs, size } = await layOut(drafts, options)
    await materialize(drafts, runs, work, options)
    const partitions = await protect(drafts, runs, work, seed, options)
    const table = newGpt(size, sectorSize, derivedUuid(seed, 'disk-uuid'), tablePartitions(drafts, partitions, runs))
    await assemble(output, size, drafts, runs, encodeNewDisk(table, size), work, options)
    const split = options.split ? await writeSplit(output, drafts, partitions, options) : partitions
    return { path: output, size, uuid: derivedUuid(seed, 'disk-uuid'), seed, partitions: split }
  } catch (error) {
    if (signal?.aborted) throw new DdiError('ERR_DDI_ABORTED', 'aborted', { cause: error })
    throw error
  } finally {
    await removeAll(work)
  }
}

async function osReleaseOf(root: string): Promise<ReadonlyMap<string, string>> {
  for (const path of ['etc/os-release', 'usr/lib/os-release']) {
    try {
      return parseOsRelease(await readFile(join(root, path), 'utf8'))
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR'].includes(systemCode(error) ?? ''))
        throw systemError(error, `cannot read ${path} of ${root}`)
    }
  }
  return new Map()
}

function refuseUnsigned(definitions: readonly PartitionDefinition[], signer: Signer | undefined): void {
  const unsigned = definitions.find(({ verity }) => verity === 'signature')
  if (unsigned && !signer)
    throw new DdiError(
      'ERR_DDI_DEFINITION',
      `${unsigned.path}: Verity=signature needs a key and a certificate (--key, --certificate)`,
    )
}

/** Removes what lies beside the image under a beginning of its name. */
async function removeAll(prefix: string): Promise<void> {
  const folder = dirname(prefix)
  const names = await readdir(folder).catch(() => [])
  for (const name of names.filter((one) => one.startsWith(`${basename(prefix)}.`)))
    await rm(join(folder, name), { recursive: true, force: true })
}

async function checkOutput(path: string, replace: boolean): Promise<void> {
  const folder = await stat(dirname(path)).catch(() => undefined)
  if (!folder?.isDirectory())
    throw new DdiError('ERR_DDI_NOT_FOUND', `there is no folder ${dirname(path)} to make ${basename(path)} in`)
  if (!replace) await refuseExisting(path)
}

/** Names the partitions, and makes the file systems whose size follows from what is in them. */
async function draft(
  definitions: readonly PartitionDefinition[],
  root: string,
  seed: string,
  work: string,
  options: BuildOptions,
): Promise<Draft[]> {
  const drafts: Draft[] = []
  for (const [index, definition] of definitions.entries()) {
    const { typeUuid, format, copyBlocks, minimize } = definition
    const earlier = drafts.filter((one) => one.definition.typeUuid === typeUuid).length
    const uuid = definition.uuid ?? partitionUuid(seed, typeUuid, earlier)
    const tree = await stageTree(definition, root, `${work}.${index}.tree`, epochOf(options), options.signal)
    const one: Draft = {
      definition,
      label: definition.label ?? freeLabel(partitionTypeName(typeUuid) ?? 'linux-generic', drafts),
      uuid,
      fileSystemUuid: derivedUuid(uuid, 'file-system-uuid'),
      contents: null,
      tree,
    }
    const path = `${work}.${index}.contents`
    if (copyBlocks !== null)
      one.contents = { path: join(root, copyBlocks), size: await openedSize(join(root, copyBlocks)) }
    else if (format !== null && (fitsContents(format) || minimize)) {
      const room = fitsContents(format)
        ? 0
        : wholeGrains(Math.max(smallest[format]!, (tree === null ? 0 : await treeSize(tree)) * 2))
      await makeFileSystem(path, format, room, tree, identity(one, options), options.signal)
      if (minimize) await shrinkFileSystem(path, format, epochOf(options), options.signal)
      one.contents = { path, size: (await stat(path)).size }
    }
    drafts.push(one)
  }
  return drafts
}

async function openedSize(path: string): Promise<number> {
  await using file = await openFile(path)
  return file.size
}

function identity({ label, fileSystemUuid }: Draft, options: BuildOptions) {
  return { label, uuid: fileSystemUuid, epoch: epochOf(options) }
}

function epochOf({ epoch }: BuildOptions): number | null {
  const fromEnvironment = process.env['SOURCE_DATE_EPOCH']
  return epoch ?? (fromEnvironment ? Number(fromEnvironment) : null)
}

/** As systemd-repart names what has no label: by the type, and by a number where that is taken. */
function freeLabel(name: string, drafts: readonly Draft[]): string {
  const taken = new Set(drafts.map(({ label }) => label))
  for (let number = 1; ; number++) {
    const label = number === 1 ? name : `${name}-${number}`
    if (!taken.has(label)) return label
  }
}

/** Shares the image out. A hash tree is as large as its data asks for, which is known when the data has its size. */
async function layOut(
  drafts: readonly Draft[],
  { size, sectorSize = 512 }: BuildOptions,
): Promise<{ readonly runs: readonly (readonly Run[])[]; readonly size: number }> {
  const own = await Promise.all(drafts.map(ownWish))
  let sizes: readonly number[] = own.map(({ min }) => min)
  for (let round = 0; round < 8; round++) {
    const wishes = own.map((wish, index) => withTree(wish, drafts, sizes, drafts[index]!))
    const padding = drafts.map(
      ({ definition }): Wish => ({
        min: wholeGrains(definition.paddingMin),
        max: definition.paddingMax ?? Number.MAX_SAFE_INTEGER,
        weight: definition.paddingWeight,
      }),
    )
    const all = wishes.flatMap((wish, index) => [wish, padding[index]!])
    const needed = all.reduce((sum, { min }) => sum + min, 0)
    const behind = alignUp(backupLength(sectorSize), sectorSize)
    const whole = size ?? alignUp(start + needed + behind, Math.max(4096, sectorSize))
    if (whole % sectorSize !== 0)
      throw new DdiError('ERR_DDI_USAGE', `${whole} bytes are no whole sectors of ${sectorSize}`)
    const shares = distribute(size === undefined ? needed : whole - start - behind, all)
    const next = wishes.map((_, index) => shares[2 * index]!)
    const settled = next.every((one, index) => one === sizes[index])
    sizes = next
    if (!settled) continue
    let at = start
    const runs = drafts.map(({ definition }, index) => {
      const run = { start: at, length: next[index]! }
      at += run.length + shares[2 * index + 1]!
      return segments(run, definition)
    })
    return { runs, size: whole }
  }
  throw new DdiError(
    'ERR_DDI_NO_SPACE',
    'hash trees and their data find no sizes that fit each other: give SizeMaxBytes= for the data',
  )
}

/** What a partition wants for itself. */
async function ownWish({ definition, contents, tree }: Draft): Promise<Wish> {
  const { sizeMin, sizeMax, format, verity, weight, minimize, path } = definition
  const filled =
    format !== null && contents === null
      ? Math.max(smallest[format]!, tree === null ? 0 : (await treeSize(tree)) * 1.2)
      : 0
  const wanted =
    verity === 'signature'
      ? signatureSize
      : verity === 'hash'
        ? 4096
        : Math.max(contents?.size ?? 0, filled, contents || sizeMin !== null ? 4096 : defaultSize)
  const min = wholeGrains(
    Math.max(sizeMin ?? 0, sizeMin !== null && filled > 0 ? sizeMin : wanted, contents?.size ?? 0),
  )
  const max = verity === 'signature' ? min : (sizeMax ?? (minimize ? min : Number.MAX_SAFE_INTEGER))
  if (min > max)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${path}: what goes into the partition takes ${min} bytes, and SizeMaxBytes= is ${max}`,
    )
  return { min, max, weight }
}

/** A hash partition with at least what the tree over its data takes. */
function withTree(wish: Wish, drafts: readonly Draft[], sizes: readonly number[], { definition }: Draft): Wish {
  if (definition.verity !== 'hash') return wish
  const data = drafts.findIndex(
    (one) => one.definition.verity === 'data' && one.definition.verityMatchKey === definition.verityMatchKey,
  )
  const { end } = layoutTree(newSuperblock(sizes[data]!))
  const min = Math.max(wish.min, wholeGrains(end))
  if (definition.sizeMax !== null && min > definition.sizeMax)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${definition.path}: the hash tree takes ${end} bytes, and SizeMaxBytes= is ${definition.sizeMax}`,
    )
  return { min, max: Math.max(min, definition.sizeMax ?? min), weight: wish.weight }
}

function segments(run: Run, { dynamic, maxSegment }: PartitionDefinition): readonly Run[] {
  if (!dynamic) return [run]
  const step = wholeGrains(maxSegment ?? defaultSegment)
  const count = Math.ceil(run.length / step)
  return Array.from({ length: count }, (_, n) => ({
    start: run.start + n * step,
    length: Math.min(step, run.length - n * step),
  }))
}

/** Makes the file systems that are as large as their partitions. */
async function materialize(
  drafts: readonly Draft[],
  runs: readonly (readonly Run[])[],
  work: string,
  options: BuildOptions,
): Promise<void> {
  for (const [index, one] of drafts.entries()) {
    const { format } = one.definition
    if (one.contents !== null || format === null) continue
    const path = `${work}.${index}.contents`
    const size = totalLength(runs[index]!)
    await makeFileSystem(path, format, size, one.tree, identity(one, options), options.signal)
    one.contents = { path, size }
  }
}

/** Makes hash trees and signatures, and gives their partitions the UUIDs that root hashes ask for. */
async function protect(
  drafts: readonly Draft[],
  runs: readonly (readonly Run[])[],
  work: string,
  seed: string,
  { signer, signal }: BuildOptions,
): Promise<readonly BuiltPartition[]> {
  const built = drafts.map(({ definition, uuid, label }, index): BuiltPartition => {
    const extents = runs[index]!
    const facts = {
      definition: definition.path,
      typeUuid: definition.typeUuid,
      uuid,
      label,
      size: totalLength(extents),
      extents,
    }
    return { ...facts, rootHash: null, splitPath: null }
  })
  const set = (index: number, more: Partial<BuiltPartition>) =>
    void built.splice(index, 1, { ...built[index]!, ...more })
  const indexOf = (kind: PartitionDefinition['verity'], key: string | null) =>
    drafts.findIndex(({ definition }) => definition.verity === kind && definition.verityMatchKey === key)
  for (const [hash, { definition, uuid }] of drafts.entries()) {
    if (definition.verity !== 'hash') continue
    const data = indexOf('data', definition.verityMatchKey)
    const superblock = newSuperblock(built[data]!.size, {
      salt: veritySalt(seed),
      uuid: derivedUuid(uuid, 'verity-uuid'),
    })
    const path = `${work}.${hash}.contents`
    const bytes = await hashContents(drafts[data]!, superblock, path, signal)
    drafts[hash]!.contents = { path, size: layoutTree(superblock).end }
    const rootHash = Buffer.from(bytes).toString('hex')
    const uuids = rootHashUuids(bytes)
    set(data, { rootHash, uuid: drafts[data]!.definition.uuid ?? uuids.data })
    set(hash, { rootHash, uuid: definition.uuid ?? uuids.hash })
    const signature = indexOf('signature', definition.verityMatchKey)
    if (signature < 0 || !signer) continue
    const record = `${work}.${signature}.contents`
    await writeFile(record, encodeSignatureRecord(await sign(bytes, signer)))
    drafts[signature]!.contents = { path: record, size: (await stat(record)).size }
    set(signature, { rootHash })
  }
  return built
}

/** Writes the hash tree of a partition, of which its contents are the beginning, and zeroes the rest. @returns the root hash */
async function hashContents(
  { contents }: Draft,
  superblock: Superblock,
  path: string,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { end } = layoutTree(superblock)
  const size = superblock.dataBlocks * superblock.dataBlockSize
  await using tree = await createFile(path, end)
  const target = { ...extentTarget(tree, linear([{ start: 0, length: end }])), ...descriptorExtents(tree) }
  const stop = signal ? { signal } : {}
  if (!contents)
    return await writeTree(superblock, { fd: tree.fd, path, extents: [{ kind: 'zero', length: size }] }, target, stop)
  await using file = await openFile(contents.path)
  const behind = Math.max(0, size - file.size)
  const extents = [
    ...linear([{ start: 0, length: Math.min(file.size, size) }]),
    ...(behind > 0 ? [{ kind: 'zero' as const, length: behind }] : []),
  ]
  return await writeTree(superblock, { ...descriptorExtents(file), extents }, target, stop)
}

/** Puts the image together. The largest of what we made is not copied where the file system can move it to its place. */
async function assemble(
  output: string,
  size: number,
  drafts: readonly Draft[],
  runs: readonly (readonly Run[])[],
  table: readonly Write[],
  work: string,
  { replace = false, signal }: BuildOptions,
): Promise<void> {
  const parts = drafts.flatMap(({ contents }, index) =>
    contents ? [{ ...contents, start: runs[index]![0]!.start }] : [],
  )
  const made = parts.filter(({ path, size }) => path.startsWith(`${work}.`) && size % grain === 0)
  const largest = made.reduce<(typeof made)[number] | undefined>(
    (best, one) => (best && best.size >= one.size ? best : one),
    undefined,
  )
  await writeNewFile(
    output,
    size,
    async (target, hasLargest) => {
      for (const part of parts) {
        if (hasLargest && part === largest) continue
        await using contents = await openFile(part.path)
        const place = linear([{ start: part.start, length: contents.size }])
        await copy(contents, extentTarget(target, place), { sparse: true, ...(signal && { signal }) })
      }
      for (const { offset, bytes } of table) await target.write(offset, bytes)
    },
    { replace, around: largest },
  )
}

function tablePartitions(
  drafts: readonly Draft[],
  built: readonly BuiltPartition[],
  runs: readonly (readonly Run[])[],
): readonly Partition[] {
  let number = 1
  const partitions = drafts.flatMap(({ definition }, index) => {
    const { uuid, typeUuid, label } = built[index]!
    const extents = runs[index]!
    const numbers = extents.map(() => number++)
    return chainPartitions({ typeUuid, uuid, label, attributes: attributesOf(definition) }, extents, numbers)
  })
  if (partitions.length > 128)
    throw new DdiError(
      'ERR_DDI_TABLE_FULL',
      `${partitions.length} partitions, of which a table has 128: raise MaxSegmentBytes=`,
    )
  return partitions
}

/** Designators whose partitions have the flags of the specification. */
const flagged = new Set(['root', 'usr', 'home', 'srv', 'var', 'tmp', 'xbootldr'])

/** As systemd-repart has it: what verity protects is read-only, and what is not grows, unless it says otherwise. */
function attributesOf({ typeUuid, flags, readOnly, noAuto, growFileSystem, verity }: PartitionDefinition): bigint {
  const designator = dpsTypes.get(typeUuid)?.designator ?? ''
  const isTree = /-verity$/.test(designator)
  const isReadOnly = readOnly ?? (isTree || verity === 'data')
  const grows = growFileSystem ?? (flagged.has(designator) && !isReadOnly)
  const bits: readonly (readonly [boolean | null, bigint])[] = [
    [isReadOnly, partitionAttributes.readOnly],
    [noAuto, partitionAttributes.noAuto],
    [grows, partitionAttributes.growFileSystem],
  ]
  return bits.reduce((sum, [set, bit]) => (set ? sum | bit : sum), flags ?? 0n)
}

async function writeSplit(
  output: string,
  drafts: readonly Draft[],
  partitions: readonly BuiltPartition[],
  { replace = false, signal }: BuildOptions,
): Promise<readonly BuiltPartition[]> {
  await using image = await openFile(output)
  const written: BuiltPartition[] = []
  for (const [index, partition] of partitions.entries()) {
    const { splitName } = drafts[index]!.definition
    const splitPath = splitName === null ? null : `${output.replace(/\.raw$/, '')}.${splitName}.raw`
    if (splitPath !== null) {
      const source = extentSource(image, linear(partition.extents))
      await writeNewFile(
        splitPath,
        partition.size,
        (target) => copy(source, target, { sparse: true, ...(signal && { signal }) }),
        { replace },
      )
    }
    written.push({ ...partition, splitPath })
  }
  return written
}
