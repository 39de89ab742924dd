import { randomUUID } from 'node:crypto'
import { openDisk } from '../attach/disk.js'
import { BoundedQueue } from '../bounded-queue.js'
import { extentSource } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { nestedTypeUuid, type VolumeHead } from '../disk/chain.js'
import type { Disk, UnnamedVolume } from '../disk/disk.js'
import { nestedVolumes } from '../disk/nested.js'
import type { WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { imageOn } from '../image/open.js'
import { requireRootHash } from '../image/verify.js'
import type { OptionNames } from '../options.js'
import type { Work } from '../work.js'
import { type Batch, lengthOf } from './batches.js'
import type { Arrival, Destination } from './receive.js'

export interface VolumeTarget {
  readonly kind: 'volume'
  /** Path of the disk image or block device. */
  readonly disk: string
  /** Label of the new volume, at most 36 characters. */
  readonly label: string
  /** Partition type. Default: that of volumes with a nested table, for a DDI. */
  readonly typeUuid?: string
  /** Partition UUID. Default: a random one. */
  readonly uuid?: string
  /** The root hash that the volumes in the image must have; their whole hash tree is verified. */
  readonly rootHash?: string
}
export const volumeTargetNames: OptionNames<VolumeTarget> = {
  kind: true,
  disk: true,
  label: true,
  typeUuid: true,
  uuid: true,
  rootHash: true,
}

/** Free space of a disk, which becomes a volume of its table when everything is verified and flushed. */
export class VolumeDestination implements Destination {
  readonly kind = 'raw'
  readonly #target: VolumeTarget
  readonly #disk: Disk
  readonly #head: VolumeHead
  #space: UnnamedVolume | undefined
  #size = 0
  #made: WholeVolume | null = null

  private constructor(target: VolumeTarget, disk: Disk, head: VolumeHead) {
    this.#target = target
    this.#disk = disk
    this.#head = head
  }

  /** @throws as {@link openDisk}, ERR_DDI_VOLUME_EXISTS, ERR_DDI_USAGE */
  static async open(target: VolumeTarget): Promise<VolumeDestination> {
    const { label, uuid = randomUUID(), typeUuid = nestedTypeUuid } = target
    if (target.rootHash !== undefined && typeUuid !== nestedTypeUuid)
      throw new DdiError(
        'ERR_DDI_USAGE',
        'a root hash can be verified only for an image with a partition table, not for a single file system',
      )
    const disk = await openDisk(target.disk)
    const taken = disk.volumes.find((volume) => volume.label === label || volume.uuid === uuid)
    if (!taken) return new VolumeDestination(target, disk, { label, uuid, typeUuid, attributes: 0n })
    await disk.close()
    throw new DdiError('ERR_DDI_VOLUME_EXISTS', `${target.disk} already has a volume ${taken.label} (${taken.uuid})`)
  }

  get readsAgain(): boolean {
    return this.#target.rootHash !== undefined
  }

  /** The new volume, once it exists. */
  get made(): WholeVolume | null {
    return this.#made
  }

  async take(batches: AsyncIterable<Batch>, { size }: Arrival): Promise<void> {
    if (size === 0) throw new DdiError('ERR_DDI_IMAGE_EMPTY', 'the image is empty')
    const space = this.#disk.unnamed(size)
    this.#space = space
    // Whatever goes wrong, the disk is not closed under a write.
    await using writing = new BoundedQueue(4)
    for await (const batch of batches) {
      const start = this.#size
      this.#size += lengthOf(batch)
      if (this.#size > space.size)
        throw new DdiError(
          'ERR_DDI_NO_SPACE',
          `the image is larger than the ${space.size} bytes that are free on ${this.#target.disk}`,
          { free: space.size },
        )
      await writing.addStep(async () => {
        let at = start
        for (const chunk of batch) {
          await space.write(at, chunk)
          at += chunk.length
        }
      })
    }
    await writing.end()
    // What was there before must not be part of the volume.
    const volume = space.preview(this.#head, this.#size)
    if (volume.size > this.#size) await space.write(this.#size, new Uint8Array(volume.size - this.#size))
  }

  async finish(work: Pick<Work, 'signal'>): Promise<void> {
    const space = this.#space!
    if (this.#head.typeUuid === nestedTypeUuid) await this.#check(space.preview(this.#head, this.#size), work)
    this.#made = await space.name(this.#head, this.#size)
  }

  /** @throws the `ERR_DDI_GPT_…` codes if there is no valid table, and those of root hashes */
  async #check(volume: WholeVolume, work: Pick<Work, 'signal'>): Promise<void> {
    const { disk: path, rootHash } = this.#target
    await using file = await openFile(path)
    const { defects } = await nestedVolumes(file, [volume])
    if (defects[0]) throw defects[0].error
    if (rootHash === undefined) return
    await using image = await imageOn(extentSource(file, volume.extents), { name: `${volume.label} of ${path}` })
    await requireRootHash(image, rootHash, work)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk.close()
  }
}
