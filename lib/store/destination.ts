import { BoundedQueue } from '../bounded-queue.js'
import { nonzeroRuns, writeZeroes } from '../bytes/copy.js'
import { copyFromFile } from '../bytes/copy-file.js'
import type { FileSource } from '../bytes/file.js'
import { sliceSource } from '../bytes/slice.js'
import type { Target } from '../bytes/source.js'
import { nestedTypeUuid, type VolumeHead } from '../disk/chain.js'
import type { Disk, UnnamedVolume } from '../disk/disk.js'
import { DdiError } from '../errors.js'
import { dpsTypes } from '../gpt/dps-types.js'
import type { Gpt } from '../gpt/table.js'
import { machineArchitectures } from '../image/architecture.js'
import { type DissectOptions, dissect } from '../image/dissect.js'
import { offersOf } from '../image/offers.js'
import { imageOn } from '../image/open.js'
import { verify } from '../image/verify.js'
import type { OptionNames } from '../options.js'
import { type Batch, lengthOf, peek } from '../pull/batches.js'
import type { Destination } from '../pull/receive.js'
import type { Work } from '../work.js'
import { headLength, type StoredLayout, storedLayout } from './layout.js'

/** What an image has to be to be installed. */
export type ImageTrust = Pick<DissectOptions, 'rootHash' | 'usrHash' | 'certificates' | 'signature' | 'architectures'>

export const trustNames: OptionNames<ImageTrust> = {
  rootHash: true,
  usrHash: true,
  certificates: true,
  signature: true,
  architectures: true,
}

export interface NewImage {
  readonly disk: Disk
  readonly head: Pick<VolumeHead, 'label' | 'uuid' | 'attributes'>
  readonly trust: ImageTrust
  /** Makes room for the image, or throws. */
  readonly makeRoom: (layout: StoredLayout) => Promise<void>
}

/** Ends a dry run as soon as the first bytes of an image have told how large it is. */
export class Tried extends Error {
  /** @param size of what would be stored of the image, in bytes */
  constructor(readonly size: number) {
    super('an image was tried')
  }
}

/** Free space of a store's disk, which becomes an image when all of it is verified and flushed. */
export class ImageDestination implements Destination {
  readonly kind = 'raw'
  readonly readsAgain = true
  readonly #image: NewImage
  #layout: StoredLayout | undefined
  #space: UnnamedVolume | undefined

  constructor(image: NewImage) {
    this.#image = image
  }

  async take(batches: AsyncIterable<Batch>): Promise<void> {
    const { head, all } = await peek(generatorOf(batches), headLength)
    await this.#store(head.subarray(0, headLength), Infinity, (space, end) => write(all, space, end))
  }

  /** Takes an image that lies in a file of this machine as it is: copying it needs no pass through this process. */
  async takeFile(file: FileSource, work: Work): Promise<void> {
    await this.#store(await file.read(0, Math.min(file.size, headLength)), file.size, async (space, end) => {
      await copyFromFile(file, space, end, work)
      return end
    })
  }

  /**
   * @param there how many bytes the image has at most
   * @param fill writes the first `end` bytes of the image, and returns how many there are
   */
  async #store(head: Uint8Array, there: number, fill: (space: Target, end: number) => Promise<number>): Promise<void> {
    const { disk, makeRoom, trust } = this.#image
    // What is refused has cost no other image.
    const layout = await layoutToStore(head, there, trust)
    await makeRoom(layout)
    const space = disk.unnamed(layout.size)
    if (disk.dryRun) {
      await space.name({ ...this.#image.head, typeUuid: nestedTypeUuid }, layout.size)
      throw new Tried(layout.dataEnd)
    }
    this.#layout = layout
    this.#space = space
    requireAll(await fill(space, layout.dataEnd), layout)
    await writeZeroes(space, layout.dataEnd, layout.size - layout.dataEnd)
    for (const { offset, bytes } of layout.writes) await space.write(offset, bytes)
  }

  async finish(work: Pick<Work, 'signal'>): Promise<void> {
    const [space, { size }] = [this.#space!, this.#layout!]
    const { head, trust } = this.#image
    await requireImage(head.label, sliceSource(space, { start: 0, length: size }), trust, work)
    await space.name({ ...head, typeUuid: nestedTypeUuid }, size)
  }

  /** The disk is the caller's. */
  async [Symbol.asyncDispose](): Promise<void> {}
}

/**
 * How an image is stored, if all that its first bytes say of it allows that.
 * @param head as {@link storedLayout} takes it
 * @param there how many bytes the image has at most
 * @throws as {@link storedLayout}; ERR_DDI_NOTHING_TO_ATTACH for other processors, ERR_DDI_GPT_TRUNCATED
 */
export async function layoutToStore(
  head: Uint8Array,
  there: number,
  { architectures = machineArchitectures() }: Pick<ImageTrust, 'architectures'>,
): Promise<StoredLayout> {
  const layout = await storedLayout(head)
  requireArchitecture(layout.table, architectures)
  requireAll(there, layout)
  return layout
}

/** @throws ERR_DDI_GPT_TRUNCATED */
function requireAll(there: number, { dataEnd }: StoredLayout): void {
  if (there < dataEnd)
    throw new DdiError(
      'ERR_DDI_GPT_TRUNCATED',
      `the image has ${there} bytes, and its partitions reach to byte ${dataEnd}: it is truncated`,
    )
}

async function* generatorOf(batches: AsyncIterable<Batch>): AsyncGenerator<Batch> {
  yield* batches
}

/** Shorter runs of zeroes are written: a call for each costs more than they. */
const shortestHole = 64 * 1024
const page = 4096

/** Writes the first `end` bytes of a stream to its place, without its zeroes, and takes the rest. @returns how many came */
async function write(batches: AsyncIterable<Batch>, space: Target, end: number): Promise<number> {
  let taken = 0
  // Whatever goes wrong, the disk is not closed under a write.
  await using writing = new BoundedQueue(4)
  for await (const batch of batches) {
    const start = taken
    taken += lengthOf(batch)
    if (start >= end) continue
    await writing.addStep(async () => {
      let at = start
      for (const chunk of batch) {
        await writeChunk(space, at, chunk.subarray(0, Math.max(0, end - at)))
        at += chunk.length
      }
    })
  }
  await writing.end()
  return Math.min(taken, end)
}

/** Writes data, and punches what is zeroes between: in whole pages of the volume. */
async function writeChunk(space: Target, start: number, chunk: Uint8Array): Promise<void> {
  const lead = Math.min(chunk.length, (page - (start % page)) % page)
  let written = 0
  const data = async (until: number) => {
    if (until > written) await space.write(start + written, chunk.subarray(written, until))
    written = Math.max(written, until)
  }
  let dataEnd = lead
  const hole = async (until: number) => {
    if (until - dataEnd < shortestHole) return
    await data(dataEnd)
    await writeZeroes(space, start + dataEnd, until - dataEnd)
    written = until
  }
  for (const run of nonzeroRuns(chunk.subarray(lead))) {
    await hole(lead + run.start)
    dataEnd = lead + run.end
  }
  await hole(chunk.length - ((start + chunk.length) % page))
  await data(chunk.length)
}

/** @throws ERR_DDI_NOTHING_TO_ATTACH if all partitions with a processor are for others */
function requireArchitecture({ partitions }: Gpt, architectures: readonly string[]): void {
  const named = new Set(partitions.flatMap(({ typeUuid }) => dpsTypes.get(typeUuid)?.architecture ?? []))
  if (named.size > 0 && !architectures.some((one) => named.has(one)))
    throw new DdiError(
      'ERR_DDI_NOTHING_TO_ATTACH',
      `the image is for ${[...named].join(', ')}, and not for this machine (${architectures.join(', ')})`,
    )
}

/** Reads back what was stored: an image that this machine would attach, under the trust that is asked for. */
async function requireImage(
  name: string,
  source: Parameters<typeof imageOn>[0],
  trust: ImageTrust,
  work: Pick<Work, 'signal'>,
): Promise<void> {
  await using image = await imageOn(source, { name })
  const dissection = await dissect(image, trust)
  offersOf(dissection, {})
  if (![...dissection.verity.values()].some(({ trusted }) => trusted)) return
  for (const { designator, badDataBlocks, badHashBlocks } of await verify(dissection, work))
    if (badDataBlocks + badHashBlocks > 0)
      throw new DdiError(
        'ERR_DDI_VERITY_CORRUPT',
        `${badDataBlocks + badHashBlocks} blocks of ${designator} of ${name} do not match the root hash`,
      )
}
