import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type { FileSystem } from '../../bindings/blkid.js'
import { findOverlap, mergeRuns } from '../bytes/runs.js'
import { type ExtentOf, type FileExtent, locate, type OpenedFile, type Source } from '../bytes/source.js'
import { foundExtents } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { checkOptions, type OptionNames } from '../options.js'
import { isPlainName, toPlainName } from '../text.js'
import { layoutTree } from '../verity/tree.js'
import type { Dissection } from './dissection.js'
import { imageNode, type Offer, type OfferOptions, offersOf, requiresKernel } from './offers.js'
import type { Image } from './open.js'

/** Options of {@link plan}. */
export interface PlanOptions extends OfferOptions {
  /** Of the attachment; device names carry it. Default: from the image’s name. See {@link attachmentName}. */
  readonly name?: string
  /** What the kernel does when a block does not match its hash. Default: reading the block is an error. */
  readonly onCorruption?: CorruptionAction
  /** Blocks whose hash is that of zeroes read as zeroes, unread. Default: false. */
  readonly ignoreZeroBlocks?: boolean
  /** Data blocks are checked the first time only: who can change them later is not noticed. Default: false. */
  readonly checkAtMostOnce?: boolean
  /**
   * Leaves partitions of the block device that an image lies on to others: who stands on a disk itself claims all of it, and a loop
   * device claims nothing. Default: false.
   */
  readonly shareDisk?: boolean
}
export const planOptionNames: OptionNames<PlanOptions> = {
  name: true,
  writable: true,
  volumes: true,
  onCorruption: true,
  ignoreZeroBlocks: true,
  checkAtMostOnce: true,
  shareDisk: true,
}

/** Restarts the machine, or lets the kernel panic. */
export type CorruptionAction = 'restart' | 'panic'

/** Whether a device is offered, or only stands under another one. */
export type NodeRole = 'volume' | 'inner'

/** A file or block device as the base of everything else: a loop device for a file or a shared disk, the device itself otherwise. */
export interface BaseNode {
  readonly kind: 'base'
  readonly id: string
  /** The image itself, or a file beside it: a hash tree, or another device of a super partition. */
  readonly role: 'image' | 'beside'
  readonly backing: 'file' | 'block-device'
  /** Whether the device is left to others, too. */
  readonly shared: boolean
  readonly path: string
  /** Of what was open when the plan was made: `activate` takes nothing else that the path may lead to. */
  readonly identity: string
  /** In bytes. */
  readonly size: number
  readonly sectorSize: number
  readonly readOnly: boolean
}

/** Extents of bases, joined by dm-linear, with dm-zero for what nothing stores. */
export interface LinearNode {
  readonly kind: 'linear'
  readonly id: string
  readonly role: NodeRole
  /** `base` is the id of the base node that an extent is of. */
  readonly extents: readonly ExtentOf<string>[]
  readonly size: number
  readonly readOnly: boolean
}

/** A volume of which dm-verity checks every block that is read. */
export interface VerityNode {
  readonly kind: 'verity'
  readonly id: string
  readonly role: NodeRole
  /** The ids of the nodes that hold the data and its hash tree. */
  readonly data: string
  readonly hash: string
  readonly size: number
  readonly readOnly: true
  readonly algorithm: string
  /** Both in hexadecimal. */
  readonly rootHash: string
  readonly salt: string
  readonly dataBlockSize: number
  readonly hashBlockSize: number
  readonly dataBlocks: number
  readonly hashStartBlock: number
  /** PKCS#7 in hexadecimal for the kernel to verify as well; null if it need not. */
  readonly signature: string | null
  /** If the kernel cannot verify the signature, the device is not made. */
  readonly signatureRequired: boolean
  /** Null: reading a block that does not match is an error. */
  readonly onCorruption: CorruptionAction | null
  readonly ignoreZeroBlocks: boolean
  readonly checkAtMostOnce: boolean
  /** Codes that correct blocks: `device` is the id of the node that holds them, the numbers count blocks. */
  readonly errorCorrection: {
    readonly device: string
    readonly start: number
    readonly blocks: number
    readonly roots: number
  } | null
}

/** A device of a plan. */
export type PlanNode = BaseNode | LinearNode | VerityNode

/** A volume that an attachment offers. */
export interface PlannedVolume {
  /** Null for one that was requested by its label or UUID. */
  readonly designator: Designator | null
  /** The id of its node: the designator, or the label as far as device names can carry it. */
  readonly node: string
  readonly size: number
  readonly readOnly: boolean
  /** A root hash covers every byte. */
  readonly verified: boolean
  /** No root hash covers it, while one covers another volume of the image: to be mounted without permission to execute. */
  readonly noExec: boolean
  /** Its flag requests that its file system be grown to fill it. */
  readonly growFileSystem: boolean
  readonly fileSystem: FileSystem | null
}

/** The device graph of an attachment, as data. Each node comes after those it stands on. */
export interface Plan {
  readonly name: string
  readonly image: string
  readonly nodes: readonly PlanNode[]
  readonly volumes: readonly PlannedVolume[]
}

// A loop device’s reference has 63 bytes, of which `ddi:`, `:` and a designator take up to 20.
const longestName = 40

/**
 * The name of an attachment: the given one, or one made from the image’s path.
 * @throws ERR_DDI_NAME if device names cannot carry the given one
 */
export function attachmentName(imagePath: string, given?: string): string {
  if (given !== undefined) {
    if (!isPlainName(given) || given.length > longestName)
      throw new DdiError(
        'ERR_DDI_NAME',
        `invalid attachment name ${JSON.stringify(given)}: use up to ${longestName} of A-Z a-z 0-9 . _ + @ = -, a letter or digit first`,
      )
    return given
  }
  const name = toPlainName(basename(imagePath).replace(/\.(raw|img)$/, ''))
  if (name.length <= longestName) return name || 'image'
  // Versions of an image may differ behind what is cut off.
  const ending = `-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`
  return name.slice(0, longestName - ending.length) + ending
}

/** The stable name of the device-mapper device of a node. */
export function deviceName(attachment: string, node: string): string {
  return `ddi-${attachment}-${node}`
}

/** Base nodes by the path of their file: one loop device serves all that lies in a file. */
type Bases = ReadonlyMap<string, BaseNode>

/**
 * Says what attaching a dissected image would make, and touches nothing.
 * @throws ERR_DDI_NAME, ERR_DDI_NOTHING_TO_ATTACH, ERR_DDI_NO_VOLUME, ERR_DDI_SPARSE_ENCODED, ERR_DDI_NOT_IN_FILE, the
 *   defect of a requested volume, ERR_DDI_NOT_COVERED if a root hash is known and does not cover a root or usr volume that
 *   would be offered, ERR_DDI_USAGE if a writable volume has bytes of another, ERR_DDI_SIGNATURE_UNTRUSTED if the kernel has to verify signatures and one of those has none that is
 *   trusted
 */
export function plan(dissection: Dissection, options: PlanOptions = {}): Plan {
  checkOptions(options, planOptionNames, 'plan')
  const { image, signature } = dissection
  const name = attachmentName(image.name, options.name)
  if (image.isSparse)
    throw new DdiError(
      'ERR_DDI_SPARSE_ENCODED',
      `${image.name} is an Android sparse image, which cannot be attached as it is`,
    )
  const offers = offersOf(dissection, options)
  const bases = basesOf(dissection, offers, options.shareDisk ?? false)
  const { onCorruption = null, ignoreZeroBlocks = false, checkAtMostOnce = false } = options
  const checking = { mode: signature, onCorruption, ignoreZeroBlocks, checkAtMostOnce }
  const nodes = offers.map((offer) => ({ offer, nodes: nodesOf(offer, image, bases, checking) }))
  refuseShared(nodes.flatMap(({ nodes }) => nodes))
  return {
    name,
    image: image.name,
    nodes: [...bases.values(), ...nodes.flatMap(({ nodes: [top, ...under] }) => [...under, top])],
    volumes: nodes.map(({ offer, nodes: [top] }) => plannedVolume(offer, top)),
  }
}

/**
 * No block is under a device that can be written and under another one: what lies in a volume with a table of its own is a
 * part of it.
 * @throws ERR_DDI_USAGE
 */
function refuseShared(nodes: readonly PlanNode[]): void {
  const linear = nodes.filter((node) => node.kind === 'linear')
  for (const one of linear) {
    if (one.readOnly) continue
    const other = linear.find((other) => other !== one && isShared(one, other))
    if (other)
      throw new DdiError(
        'ERR_DDI_USAGE',
        `volume ${one.id} would be writable and has bytes of volume ${other.id}: attach one of them, or both read-only`,
      )
  }
}

function isShared({ extents: ones }: LinearNode, { extents: others }: LinearNode): boolean {
  const bases = new Set(ones.map((one) => (one.kind === 'zero' ? undefined : one.base)))
  return [...bases].some((base) => {
    const ofBase = (extents: LinearNode['extents']) =>
      mergeRuns(extents.flatMap((one) => (one.kind !== 'zero' && one.base === base ? [one] : [])))
    return findOverlap([...ofBase(ones), ...ofBase(others)]) !== undefined
  })
}

function plannedVolume({ designator, volume, protection, readOnly, noExec }: Offer, top: PlanNode): PlannedVolume {
  return {
    designator,
    node: top.id,
    size: top.size,
    readOnly,
    verified: protection !== undefined,
    noExec,
    growFileSystem: volume.flags.growFileSystem,
    fileSystem: volume.fileSystem ?? null,
  }
}

/** The files that everything lies in: those of the image first, then those of hash trees beside it. */
function basesOf(dissection: Dissection, offers: readonly Offer[], shared: boolean): Bases {
  const { image } = dissection
  const extents = offers.flatMap(({ source }) => located(image, source))
  const files = filesOf([...(locate(image.source) ?? []), ...extents])
  const main = files.find(({ path }) => path === image.path) ?? files[0]
  const sectorSize = fittingSectorSize(dissection, extents)
  const readOnly = offers.every((offer) => offer.readOnly)
  const bases = new Map<string, BaseNode>()
  const add = (id: string, role: BaseNode['role'], file: OpenedFile, readOnly: boolean) => {
    const { kind: backing, path, identity, size } = file
    if (!bases.has(path))
      bases.set(path, { kind: 'base', id, role, backing, shared, path, identity, size, sectorSize, readOnly })
  }
  for (const [index, file] of files.entries())
    add(index === 0 ? imageNode : `${imageNode}-${index + 1}`, file === main ? 'image' : 'beside', file, readOnly)
  for (const { id, protection } of offers)
    for (const [base, source] of [
      [`${hashId(id)}-file`, protection?.hash.source],
      [`${parityId(id)}-file`, protection?.parity?.source],
    ] as const)
      if (source) for (const file of filesOf(located(image, source))) add(base, 'beside', file, true)
  return bases
}

/** The files of extents, each once. */
function filesOf(extents: readonly FileExtent[]): readonly OpenedFile[] {
  const files = new Map<string, OpenedFile>()
  for (const extent of extents) if (extent.kind === 'linear') files.set(extent.base.path, extent.base)
  return [...files.values()]
}

/** @throws ERR_DDI_NOT_IN_FILE if the bytes do not lie in files as they are */
function located({ name }: Image, source: Source): readonly FileExtent[] {
  const extents = locate(source)
  if (!extents)
    throw new DdiError(
      'ERR_DDI_NOT_IN_FILE',
      `${name} does not lie in a file as it is and cannot be attached: write it to a file first`,
    )
  return extents
}

/** A table inside another, or a file system, may count in smaller sectors than the disk's: the device under all has to take the smallest. */
function fittingSectorSize({ image: { sectorSize }, volumes }: Dissection, located: readonly FileExtent[]): number {
  if (volumes.some(({ fileSystem }) => (fileSystem?.blockSize ?? sectorSize) < sectorSize)) return 512
  const fits = [...volumes.flatMap(foundExtents), ...located].every(
    (extent) => extent.length % sectorSize === 0 && (extent.kind === 'zero' || extent.start % sectorSize === 0),
  )
  return fits ? sectorSize : 512
}

/** The node that offers a volume, and those under it. */
function nodesOf(
  { id, source, protection, readOnly }: Offer,
  image: Image,
  bases: Bases,
  checking: Checking,
): readonly [PlanNode, ...PlanNode[]] {
  const linear = (id: string, role: NodeRole, source: Source, readOnly: boolean): LinearNode => {
    const extents = located(image, source).map((extent) =>
      extent.kind === 'zero' ? extent : { ...extent, base: bases.get(extent.base.path)!.id },
    )
    return { kind: 'linear', id, role, extents, size: source.size, readOnly }
  }
  if (!protection) return [linear(id, 'volume', source, readOnly)]
  const data = linear(`${id}-data`, 'inner', source, true)
  const hash = linear(hashId(id), 'inner', protection.hash.source, true)
  const parity = protection.parity && linear(parityId(id), 'inner', protection.parity.source, true)
  const devices = { data: data.id, hash: hash.id, parity: parity?.id }
  return [verityNode(id, devices, protection, checking), data, hash, ...(parity ? [parity] : [])]
}

function parityId(id: string): string {
  return `${id}-parity`
}

function hashId(id: string): string {
  return `${id}-verity`
}

/** How the kernel checks what a root hash covers. */
interface Checking extends Pick<VerityNode, 'onCorruption' | 'ignoreZeroBlocks' | 'checkAtMostOnce'> {
  readonly mode: Dissection['signature']
}

function verityNode(
  id: string,
  devices: { readonly data: string; readonly hash: string; readonly parity: string | undefined },
  { rootHash, superblock, signature, parity }: NonNullable<Offer['protection']>,
  { mode, ...checking }: Checking,
): VerityNode {
  const { algorithm, dataBlockSize, hashBlockSize, dataBlocks } = superblock
  return {
    kind: 'verity',
    id,
    role: 'volume',
    data: devices.data,
    hash: devices.hash,
    size: dataBlocks * dataBlockSize,
    readOnly: true,
    algorithm,
    rootHash: Buffer.from(rootHash).toString('hex'),
    salt: Buffer.from(superblock.salt).toString('hex'),
    dataBlockSize,
    hashBlockSize,
    dataBlocks,
    hashStartBlock: layoutTree(superblock).hashStartBlock,
    signature: mode !== 'userspace' && signature ? Buffer.from(signature.bytes).toString('hex') : null,
    signatureRequired: requiresKernel(mode),
    ...checking,
    errorCorrection:
      parity && devices.parity !== undefined
        ? { device: devices.parity, start: parity.start, blocks: parity.blocks, roots: parity.roots }
        : null,
  }
}
