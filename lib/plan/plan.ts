import { basename } from 'node:path'
import type { FileSystem } from '../../bindings/blkid.js'
import type { Extent } from '../block/source.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import type { Dissection, HashTree, Verity } from '../image/dissect.js'
import { layoutTree } from '../verity/tree.js'

export interface PlanOptions {
  /** Of the attachment; device names carry it. Default: from the image’s file name. See {@link attachmentName}. */
  readonly name?: string
  /** Lets volumes be written that neither a root hash nor their read-only flag protects. Default: false. */
  readonly writable?: boolean
}

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

/** Extents of a base, merged by dm-linear. */
export interface LinearNode {
  readonly kind: 'linear'
  readonly id: string
  readonly base: string
  readonly extents: readonly Extent[]
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
}

export type PlanNode = BaseNode | LinearNode | VerityNode

/** What an attachment offers: a node under a stable name. */
export interface PlannedVolume {
  readonly designator: Designator
  readonly node: string
  readonly device: string
  readonly size: number
  readonly readOnly: boolean
  /** A root hash covers every byte. */
  readonly verified: boolean
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

/** The stable name of a node in /dev/mapper. */
export function deviceName(attachment: string, node: string): string {
  return `ddi-${attachment}-${node}`
}

/**
 * Says what attaching a dissected image would make, and touches nothing.
 * @throws ERR_DDI_NAME, ERR_DDI_NOTHING_TO_ATTACH, ERR_DDI_NOT_COVERED where a root hash is known and a root or usr
 *   volume would be offered that none covers
 */
export function plan(dissection: Dissection, options: PlanOptions = {}): Plan {
  const { image, roles, verity } = dissection
  const name = attachmentName(image.path, options.name)
  refuseUncovered(dissection)
  const nodes = new Map<string, PlanNode>()
  const volumes: PlannedVolume[] = []
  // A nested table may count in smaller sectors than the disk's: the device under it has to take the smallest.
  const extents = dissection.volumes.flatMap((volume) => volume.extents)
  const fits = extents.every(({ start, length }) => start % image.sectorSize === 0 && length % image.sectorSize === 0)
  const sectorSize = fits || image.table.type === 'none' ? image.sectorSize : 512

  const addBase = (id: string, backing: BaseNode['backing'], path: string, size: number, readOnly: boolean) =>
    add<BaseNode>({ kind: 'base', id, backing, path, size, sectorSize, readOnly })
  const add = <Node extends PlanNode>(node: Node): string => {
    nodes.set(node.id, node)
    return node.id
  }
  const protectedBy = (designator: Designator) =>
    designator === 'root' || designator === 'usr' ? verity.get(designator) : undefined
  const writable = [...roles].filter(
    ([designator, volume]) => options.writable && !volume.flags.readOnly && !protectedBy(designator)?.trusted,
  )
  const base = addBase('image', image.source.kind, image.path, image.size, writable.length === 0)
  const addHash = (designator: Designator, hash: HashTree): string => {
    const id = `${designator}-verity`
    if (hash.kind === 'volume') {
      const { extents, size } = hash.volume
      return add<LinearNode>({ kind: 'linear', id, base, extents, size, readOnly: true })
    }
    const { path, size } = hash
    const file = addBase(`${id}-file`, 'file', path, size, true)
    return add<LinearNode>({
      kind: 'linear',
      id,
      base: file,
      extents: [{ start: 0, length: size }],
      size,
      readOnly: true,
    })
  }

  for (const [designator, volume] of roles) {
    const protection = protectedBy(designator)
    const readOnly = !writable.some(([one]) => one === designator)
    const { extents, size } = volume
    if (protection?.trusted) {
      const data = add<LinearNode>({ kind: 'linear', id: `${designator}-data`, base, extents, size, readOnly: true })
      add(verityNode(designator, data, addHash(designator, protection.hash), protection))
    } else {
      add<LinearNode>({ kind: 'linear', id: designator, base, extents, size, readOnly })
    }
    volumes.push({
      designator,
      node: designator,
      device: `/dev/mapper/${deviceName(name, designator)}`,
      size: nodes.get(designator)!.size,
      readOnly,
      verified: protection?.trusted ?? false,
      fileSystem: volume.fileSystem,
    })
  }
  if (volumes.length === 0)
    throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${image.path} has nothing to attach here${found(dissection)}`)
  return { name, image: image.path, nodes: [...nodes.values()], volumes }
}

function verityNode(id: string, data: string, hash: string, verity: Verity & { trusted: true }): VerityNode {
  const { superblock } = verity
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
  }
}

function refuseUncovered({ image, roles, verity }: Dissection): void {
  const trusted = [...verity.values()].some((one) => one.trusted)
  if (!trusted) return
  for (const designator of ['root', 'usr'] as const) {
    if (roles.has(designator) && !verity.get(designator)?.trusted)
      throw new DdiError(
        'ERR_DDI_NOT_COVERED',
        `${image.path} has a ${designator} volume that no root hash covers, and a root hash for the other: ` +
          `give ${designator === 'root' ? '--root-hash' : '--usr-hash'} too`,
      )
  }
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
