import { isSuper } from '../android/geometry.js'
import { readSuper } from '../android/super.js'
import { alignUp } from '../bytes/runs.js'
import { sliceSource } from '../bytes/slice.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { readSuperblock } from '../verity/superblock.js'
import { layoutTree } from '../verity/tree.js'
import { claimOfFileSystem } from './claimed-size.js'
import { probe } from './probe.js'
import { scanDisk } from './scan.js'

/** Something that lies in a volume. */
interface Claim {
  /** For people. */
  readonly what: string
  /** How many bytes of the volume it takes; undefined if only it itself knows. */
  readonly size: number | undefined
}

/**
 * Refuses to cut off what something in a volume claims: a file system, a hash tree, a GPT, a super partition. Of what
 * libblkid knows, but we not how large it is, nothing is cut.
 * @param trees hash volumes for volumes of its kind
 * @param size of the volume afterwards, in bytes
 * @param name of the volume, for people
 * @throws ERR_DDI_SHRINK_REFUSED, and as `probe`
 */
export async function refuseCut(volume: Source, trees: readonly Source[], size: number, name: string): Promise<void> {
  const covered = await Promise.all(trees.map((tree) => coveredBy(tree, volume.size)))
  for (const { what, size: claimed } of [...(await claimsOn(volume)), ...covered.flat()]) {
    if (claimed !== undefined && claimed <= size) continue
    const why = claimed === undefined ? 'where that ends is not known' : `that claims ${claimed}`
    throw new DdiError(
      'ERR_DDI_SHRINK_REFUSED',
      `${name} would have ${size} bytes, it holds ${what}, and ${why}: shrink that first, or force it`,
    )
  }
}

async function claimsOn(volume: Source): Promise<readonly Claim[]> {
  const fileSystem = await claimOfFileSystem(volume)
  const type = (await probe(volume, 'the volume'))?.type
  const isOther = type !== undefined && type !== 'DM_verity_hash' && !fileSystem?.types.test(type)
  const found = [
    fileSystem && { what: type ?? 'a file system', size: fileSystem.size },
    isOther ? { what: type, size: undefined } : undefined,
    await hashTree(volume, 0),
    // Where formatFile() and others append one.
    fileSystem && (await hashTree(volume, alignUp(fileSystem.size, 4096))),
    await table(volume),
    await superPartition(volume),
  ]
  return found.filter((claim) => claim !== undefined)
}

/** What a tree that may be of a volume covers of it. @param size of the volume, in bytes */
async function coveredBy(tree: Source, size: number): Promise<readonly Claim[]> {
  const covered = await ofImage(async () => {
    const { dataBlocks, dataBlockSize } = await readSuperblock(tree)
    return dataBlocks * dataBlockSize
  })
  return covered !== undefined && covered <= size ? [{ what: 'data that a hash volume covers', size: covered }] : []
}

/** @param at where its superblock would lie, in bytes */
async function hashTree(volume: Source, at: number): Promise<Claim | undefined> {
  const magic = Buffer.from('verity\0\0')
  if (at + magic.length > volume.size || !magic.equals(await volume.read(at, magic.length))) return undefined
  const tree = sliceSource(volume, { start: at, length: volume.size - at })
  const size = await ofImage(async () => at + layoutTree(await readSuperblock(tree)).end)
  return { what: 'a hash tree', size }
}

async function table(volume: Source): Promise<Claim | undefined> {
  const scan = await scanDisk(volume)
  if ('table' in scan) {
    const { table, backupLba } = scan
    return { what: 'a GPT', size: Math.max(table.usableEnd, (backupLba + 1) * table.sectorSize) }
  }
  // What lies before a leftover claims for itself.
  const isNone = scan.code === 'ERR_DDI_NO_TABLE' || scan.code === 'ERR_DDI_GPT_LEFTOVER'
  return isNone ? undefined : { what: 'a damaged GPT', size: undefined }
}

async function superPartition(volume: Source): Promise<Claim | undefined> {
  if (!(await isSuper(volume))) return undefined
  return {
    what: 'a super partition',
    size: await ofImage(async () => (await readSuper(volume)).metadata.devices[0].size),
  }
}

/** What bytes say, or undefined if they are damaged. */
async function ofImage(read: () => Promise<number>): Promise<number | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof DdiError && error.kind === 'image') return undefined
    throw error
  }
}
