import { basename } from 'node:path'
import type { FileSystem } from '../../bindings/blkid.js'
import { extentSource } from '../bytes/extents.js'
import { type ExtentOf, locate, type OpenedFile, type Source } from '../bytes/source.js'
import { findByName, foundExtents, requireWhole } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import type { OptionNames } from '../options.js'
import { layoutTree } from '../verity/tree.js'
import type { Dissection, HashTree, UsableVolume, Verity } from './dissection.js'
import type { Image } from './open.js'
import type { SignatureMode } from './signatures.js'

export interface PlanOptions {
  /** Of the attachment; device names carry it. Default: from the image’s file name. See {@link attachmentName}. */
  readonly name?: string
  /** Lets volumes be written that neither a root hash nor their read-only flag protects. Default: false. */
  readonly writable?: boolean
  /** Labels or UUIDs of the volumes to offer, whatever they are for. Default: those that this machine would use. */
  readonly volumes?: readonly string[]
}
export const planOptionNames: OptionNames<PlanOptions> = { name: true, writable: true, volumes: true }

/** A file or block device as the base of everything else: a loop device for a file, the device itself otherwise. */
export interface BaseNode {
  readonly kind: 'base'
  readonly id: string
  readonly backing: 'file' | 'block-device'
  readonly path: string
  /** In bytes. */
  readonly size: number
  readonly sectorSize: number
  readonly readOnly: boolean
}

/** Extents of bases, merged by dm-linear, with dm-zero for what nothing stores. */
export interface LinearNode {
  readonly kind: 'linear'
  readonly id: string
  /** `base` is the id of the base node that an extent is of. */
  readonly extents: readonly ExtentOf<string>[]
  readonly size: number
  readonly readOnly: boolean
}

/** A volume whose every read dm-verity checks. */
export interface VerityNode {
  readonly kind: 'verity'
  readonly id: string
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
  /** PKCS#7 in hexadecimal for the kernel to verify as well; null where it is not asked. */
  readonly signature: string | null
  /** The device is not made where the kernel cannot verify the signature. */
  readonly signatureRequired: boolean
}

export type PlanNode = BaseNode | LinearNode | VerityNode

/** What an attachment offers: a node under a stable name. */
export interface PlannedVolume {
  /** Null for one that was asked for by its name, and not for what it is for. */
  readonly designator: Designator | null
  /** The id of its node: the designator, or what is left of the label. */
  readonly node: string
  readonly size: number
  readonly readOnly: boolean
  /** A root hash covers every byte. */
  readonly verified: boolean
  /** Its flag asks that the file system fills it. */
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

// A loop device’s reference has 63 bytes, of which "ddi:", ":" and a designator take up to 20.
const longestName = 40

/**
 * The name of an attachment, from an image’s path where none is given.
 * @throws ERR_DDI_NAME for a given one that device names cannot carry
 */
export function attachmentName(imagePath: string, given?: string): string {
  if (given !== undefined) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._+@=-]*$/.test(given) || given.length > longestName)
      throw new DdiError(
        'ERR_DDI_NAME',
        `${JSON.stringify(given)} cannot name an attachment: up to ${longestName} of A-Z a-z 0-9 . _ + @ = -, a letter or digit first`,
      )
    return given
  }
  const stem = basename(imagePath).replace(/\.(raw|img)$/, '')
  const name = stem.replace(/[^A-Za-z0-9._+@=-]/g, '_').replace(/^[^A-Za-z0-9]+/, '')
  return name.slice(0, longestName) || 'image'
}

/** The stable name of the device-mapper device of a node. */
export function deviceName(attachment: string, node: string): string {
  return `ddi-${attachment}-${node}`
}

/** A volume under the id that its node gets. */
interface Offer {
  readonly id: string
  readonly designator: Designator | null
  readonly volume: UsableVolume
  /** The root hash and tree that cover it. */
  readonly protection: (Verity & { readonly trusted: true }) | undefined
  readonly readOnly: boolean
}

/**
 * Says what attaching a dissected image would make, and touches nothing.
 * @throws ERR_DDI_NAME, ERR_DDI_NOTHING_TO_ATTACH, ERR_DDI_NO_VOLUME, ERR_DDI_SPARSE_ENCODED, the defect of a volume asked
 *   for, ERR_DDI_NOT_COVERED where a root hash is known and a root or usr volume would be offered that none covers, and
 *   ERR_DDI_SIGNATURE_UNTRUSTED if the kernel has to verify signatures and a root or usr volume has none that is trusted
 */
export function plan(dissection: Dissection, options: PlanOptions = {}): Plan {
  const { image } = dissection
  const name = attachmentName(image.name, options.name)
  located(image, image.source)
  if (!options.volumes) refuseUncovered(dissection)
  const offers = options.volumes ? chosen(dissection, options.volumes, options) : offeredByRole(dissection, options)
  refuseUnsigned(dissection, offers)
  if (offers.length === 0)
    throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${image.name} has nothing to attach here${found(dissection)}`)

  const nodes = new Map<string, PlanNode>()
  const add = <Node extends PlanNode>(node: Node): string => {
    nodes.set(node.id, node)
    return node.id
  }
  const sectorSize = fittingSectorSize(dissection)
  const readOnly = offers.every((offer) => offer.readOnly)
  const bases = new Map<OpenedFile, string>()
  const baseOf = (file: OpenedFile, id: string, readOnly: boolean) => {
    const known = bases.get(file)
    if (known !== undefined) return known
    bases.set(file, id)
    return add<BaseNode>({
      kind: 'base',
      id,
      backing: file.kind,
      path: file.path,
      size: file.size,
      sectorSize,
      readOnly,
    })
  }
  const addLinear = (
    id: string,
    source: Source,
    baseId: (count: number) => string,
    readOnly: boolean,
    ofBase: boolean,
  ) => {
    const extents = located(image, source).map((extent) =>
      extent.kind === 'zero' ? extent : { ...extent, base: baseOf(extent.base, baseId(bases.size), ofBase) },
    )
    return add<LinearNode>({ kind: 'linear', id, extents, size: source.size, readOnly })
  }
  const imageBase = (count: number) => (count === 0 ? 'image' : `image-${count + 1}`)
  const addVolume = (id: string, { extents }: UsableVolume, ofNode: boolean) =>
    addLinear(id, extentSource(image.source, extents), imageBase, ofNode, readOnly)
  const addHash = (id: string, hash: HashTree): string =>
    hash.kind === 'volume'
      ? addVolume(id, hash.volume, true)
      : addLinear(id, hash.source, () => `${id}-file`, true, true)
  const volumes = offers.map(({ id, designator, volume, protection, readOnly }): PlannedVolume => {
    if (protection) {
      const data = addVolume(`${id}-data`, volume, true)
      add(verityNode(id, data, addHash(`${id}-verity`, protection.hash), protection, dissection.signature))
    } else addVolume(id, volume, readOnly)
    return {
      designator,
      node: id,
      size: nodes.get(id)!.size,
      readOnly,
      verified: protection !== undefined,
      growFileSystem: volume.flags.growFileSystem,
      fileSystem: volume.fileSystem ?? null,
    }
  })
  return { name, image: image.name, nodes: [...nodes.values()], volumes }
}

/** @throws ERR_DDI_SPARSE_ENCODED if the bytes do not lie in files as they are */
function located({ name }: Image, source: Source) {
  const extents = locate(source)
  if (!extents)
    throw new DdiError(
      'ERR_DDI_SPARSE_ENCODED',
      `${name} can be read, but neither attached nor changed as it is: write it out first`,
    )
  return extents
}

/** A table inside another may count in smaller sectors than the disk's: the device under both has to take the smallest. */
function fittingSectorSize({ image, volumes }: Dissection): number {
  const fits = volumes
    .flatMap(foundExtents)
    .every(
      (extent) =>
        extent.length % image.sectorSize === 0 && (extent.kind === 'zero' || extent.start % image.sectorSize === 0),
    )
  return fits || image.table.type === 'none' ? image.sectorSize : 512
}

function offer(
  id: string,
  designator: Designator | null,
  volume: UsableVolume,
  verity: Dissection['verity'],
  { writable = false }: PlanOptions,
): Offer {
  const pair = [...verity.values()].find(({ data }) => data === volume)
  const protection = pair?.trusted ? pair : undefined
  return {
    id,
    designator,
    volume,
    protection,
    readOnly: !writable || volume.flags.readOnly || protection !== undefined,
  }
}

function offeredByRole({ roles, verity }: Dissection, options: PlanOptions): readonly Offer[] {
  return [...roles].map(([designator, volume]) => offer(designator, designator, volume, verity, options))
}

/** The volumes of labels or UUIDs. Hyphens are for the nodes under a volume: in the id of one they would be taken for theirs. */
function chosen(
  { image, volumes, verity }: Dissection,
  names: readonly string[],
  options: PlanOptions,
): readonly Offer[] {
  const offers = names.map((name) => {
    const volume = requireWhole(findByName(volumes, name, image.name))
    const id = (volume.label || volume.uuid || 'image').replace(/[^A-Za-z0-9._+@=]/g, '_')
    return offer(id, null, volume, verity, options)
  })
  const twin = offers.find(({ id }, index) => offers.findIndex((other) => other.id === id) < index)
  if (twin)
    throw new DdiError('ERR_DDI_NAME', `two of the volumes asked for would be named ${twin.id}: attach one at a time`)
  return offers
}

function verityNode(
  id: string,
  data: string,
  hash: string,
  verity: Verity & { trusted: true },
  mode: SignatureMode,
): VerityNode {
  const { superblock } = verity
  const asksKernel = mode !== 'userspace'
  const { algorithm, dataBlockSize, hashBlockSize, dataBlocks } = superblock
  return {
    kind: 'verity',
    id,
    data,
    hash,
    size: dataBlocks * dataBlockSize,
    readOnly: true,
    algorithm,
    rootHash: Buffer.from(verity.rootHash).toString('hex'),
    salt: Buffer.from(superblock.salt).toString('hex'),
    dataBlockSize,
    hashBlockSize,
    dataBlocks,
    hashStartBlock: layoutTree(superblock).hashStartBlock,
    signature: asksKernel && verity.signature ? Buffer.from(verity.signature.bytes).toString('hex') : null,
    signatureRequired: requiresKernel(mode),
  }
}

/** @throws ERR_DDI_NOT_COVERED if a root hash is known, and a root or usr volume would be used that none covers */
export function refuseUncovered({ image, roles, verity }: Dissection): void {
  const trusted = [...verity.values()].some((one) => one.trusted)
  if (!trusted) return
  for (const designator of ['root', 'usr'] as const) {
    if (roles.has(designator) && !verity.get(designator)?.trusted)
      throw new DdiError(
        'ERR_DDI_NOT_COVERED',
        `${image.name} has a ${designator} volume that no root hash covers, and a root hash for the other: ` +
          `give ${designator === 'root' ? '--root-hash' : '--usr-hash'} too`,
      )
  }
}

/** The kernel can only verify a signature that is there. */
function refuseUnsigned({ image, signature }: Dissection, offers: readonly Offer[]): void {
  if (!requiresKernel(signature)) return
  for (const { id, volume, protection } of offers) {
    const needsOne = protection || volume.designator === 'root' || volume.designator === 'usr'
    if (needsOne && !protection?.signature)
      throw new DdiError(
        'ERR_DDI_SIGNATURE_UNTRUSTED',
        `${image.name}: ${id} has no trusted signature of its root hash for the kernel to verify`,
      )
  }
}

function requiresKernel(mode: SignatureMode): boolean {
  return mode === 'kernel' || mode === 'both'
}

function found({ volumes }: Dissection): string {
  const foreign = new Set(
    volumes.flatMap(({ designator, architecture }) =>
      architecture && (designator === 'root' || designator === 'usr') ? [architecture] : [],
    ),
  )
  if (foreign.size > 0) return `: its volumes are for ${[...foreign].join(', ')} (see --architecture)`
  return volumes.length > 0 ? `: none of its ${volumes.length} partitions has a type that says what it is for` : ''
}
