import { extentSource } from '../bytes/extents.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { type DissectOptions, dissect } from '../image/dissect.js'
import type { Dissection } from '../image/dissection.js'
import { type Image, imageOn } from '../image/open.js'
import type { ProtectedDesignator } from '../image/root-hash-sources.js'
import { verify } from '../image/verify.js'
import { checkOptions } from '../options.js'
import { type Work, workNames, workOn } from '../work.js'
import type { StoreImage } from './image.js'

/**
 * What reading all of an image found. `verified`: it matches root hashes that are trusted; `consistent`: it matches those that its own
 * partition UUIDs claim, so nothing has corrupted it by accident; `unprotected`: it has no hash tree to be compared with.
 */
export interface Scrubbed {
  readonly image: StoreImage
  readonly result: 'verified' | 'consistent' | 'unprotected' | 'damaged'
  /** What is damaged or cannot be read, for people. */
  readonly damage: string | null
}

/**
 * Reads all of an image, and compares it with its hash trees.
 * @param disk that the extents of its volume are of
 * @throws ERR_DDI_ABORTED; damage does not make it throw, nor does what the disk cannot read
 */
export async function scrub(disk: Source, image: StoreImage, work: Work = {}): Promise<Scrubbed> {
  checkOptions(work, workNames, 'scrub')
  const { label, volume } = image
  try {
    await using opened = await imageOn(extentSource(disk, volume.extents), { name: label })
    const [problem] = opened.table.problems
    if (problem) return { image, result: 'damaged', damage: problem.message }
    return { image, ...(await compare(opened, workOn(label, work))) }
  } catch (error) {
    if (!(error instanceof DdiError) || (error.kind !== 'image' && error.code !== 'ERR_DDI_IO')) throw error
    return { image, result: 'damaged', damage: error.message }
  }
}

async function compare(image: Image, work: Work): Promise<Omit<Scrubbed, 'image'>> {
  const trusted = await dissect(image, { probe: 'used' })
  const isTrusted = [...trusted.verity.values()].some((pair) => pair.trusted)
  const claimed = claimedHashes(trusted)
  if (!isTrusted && Object.keys(claimed).length === 0) return { result: 'unprotected', damage: null }
  const dissection = isTrusted ? trusted : await dissect(image, { probe: 'used', ...claimed })
  const bad = (await verify(dissection, work)).filter((one) => one.badDataBlocks + one.badHashBlocks > 0)
  if (bad.length === 0) return { result: isTrusted ? 'verified' : 'consistent', damage: null }
  const damage = bad.map(
    ({ designator, badDataBlocks, badHashBlocks }) =>
      `${designator}: ${badDataBlocks} data blocks and ${badHashBlocks} hash blocks do not match the root hash`,
  )
  return { result: 'damaged', damage: damage.join('; ') }
}

/** The root hashes that the UUIDs of partitions spell out, as the Discoverable Partitions Specification says. */
function claimedHashes({ verity }: Dissection): Pick<DissectOptions, 'rootHash' | 'usrHash'> {
  const claim = (designator: ProtectedDesignator) => {
    const pair = verity.get(designator)
    if (pair?.hash.kind !== 'volume' || !pair.data.uuid || !pair.hash.volume.uuid) return undefined
    return `${pair.data.uuid}${pair.hash.volume.uuid}`.replaceAll('-', '')
  }
  const [rootHash, usrHash] = [claim('root'), claim('usr')]
  return { ...(rootHash !== undefined && { rootHash }), ...(usrHash !== undefined && { usrHash }) }
}
