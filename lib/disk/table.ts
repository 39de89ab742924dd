import { isDeepStrictEqual } from 'node:util'
import { copy } from '../bytes/copy.js'
import { extentSource, extentTarget } from '../bytes/extents.js'
import { guardTarget } from '../bytes/guard.js'
import { sliceSource } from '../bytes/slice.js'
import type { Extent, LinearExtent, Run, Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { type Work, workNames } from '../work.js'
import { refuseCut } from './claims.js'
import { findByName, ownOrigin, requireWhole, type Volume, type WholeVolume } from './volume.js'

/** What a table says. */
export interface TableContents<E extends Extent = Extent> {
  readonly volumes: readonly Volume<E>[]
  /** In runs that a volume may start at, in bytes. */
  readonly free: readonly Run[]
}

/**
 * A table whose volumes change: the GPT of a disk, or the metadata of an Android super partition. Each change is one
 * all-or-nothing write: data before the table that names it, the table before the space that it gave up is used again.
 * Changes take a volume of this table, as it was found or returned; one that is gone since is refused with
 * ERR_DDI_NO_VOLUME. They return it as it is now. Unknown options and fields are refused with ERR_DDI_USAGE.
 */
export interface VolumeTable<Head, E extends Extent = Extent> extends TableContents<E>, AsyncDisposable {
  /** Of the disk image or block device. */
  readonly path: string
  /** Of what the table describes, in bytes. */
  readonly size: number
  /** What the sizes of volumes are multiples of, in bytes. */
  readonly unit: number
  /** Whether changes are only tried: all that would be refused is, and nothing is written. */
  readonly dryRun: boolean
  /** The volume of a UUID, or of a label that only one has. @throws ERR_DDI_NO_VOLUME, and the defect of a broken one */
  find(name: string): WholeVolume<E>
  /**
   * @param size in bytes, rounded up to what the format counts in
   * @throws ERR_DDI_USAGE, ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL, ERR_DDI_VOLUME_EXISTS, ERR_DDI_ABORTED
   */
  create(head: Head, size: number, options?: CreateOptions): Promise<WholeVolume<E>>
  /** Appends `by` bytes, rounded up. @throws as {@link resize} */
  grow(volume: WholeVolume, by: number): Promise<WholeVolume<E>>
  /** Cuts `by` bytes off the end, rounded down. @throws as {@link resize} */
  shrink(volume: WholeVolume, by: number, options?: ResizeOptions): Promise<WholeVolume<E>>
  /**
   * Gives a volume another size: appends to its end, or cuts from it.
   * @param size in bytes
   * @throws ERR_DDI_USAGE, ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL, ERR_DDI_BUSY, and ERR_DDI_SHRINK_REFUSED unless forced
   */
  resize(volume: WholeVolume, size: number, options?: ResizeOptions): Promise<WholeVolume<E>>
  /** @throws ERR_DDI_BUSY */
  remove(volume: WholeVolume): Promise<void>
  /** Changes what names a volume. @throws ERR_DDI_VOLUME_EXISTS, ERR_DDI_USAGE */
  rename(volume: WholeVolume, head: Partial<Head>, options?: NameOptions): Promise<WholeVolume<E>>
  /** Says what is wrong with the table, and repairs what can be repaired. @throws what keeps it from being written */
  check(options?: CheckOptions): Promise<CheckResult>
  close(): Promise<void>
}

/** Options of {@link VolumeTable.rename}. */
export interface NameOptions {
  /** Lets two volumes have one label, which then names neither. Default: false. */
  readonly force?: boolean
}

/** Options of {@link VolumeTable.create}. */
export interface CreateOptions extends Work, NameOptions {
  /** What the volume begins with; flushed before the table names the volume. At most `size` bytes. */
  readonly from?: Source
}

/** Options of {@link VolumeTable.resize} and {@link VolumeTable.shrink}. */
export interface ResizeOptions {
  /** Cuts even what lies in the volume, or of which it is not known where it ends. Default: false. */
  readonly force?: boolean
}

/** Options of {@link VolumeTable.check}. */
export interface CheckOptions {
  /** Writes the table again, both copies, without what is wrong with it. Default: false. */
  readonly repair?: boolean
}

/** What is wrong with a table, for people. */
export interface CheckResult {
  /** What was wrong, and is not any more. */
  readonly mended: readonly string[]
  /** What is wrong still. */
  readonly left: readonly string[]
}

export const createOptionNames: OptionNames<CreateOptions> = { ...workNames, from: true, force: true }
const nameOptionNames: OptionNames<NameOptions> = { force: true }
const resizeOptionNames: OptionNames<ResizeOptions> = { force: true }
const checkOptionNames: OptionNames<CheckOptions> = { repair: true }

/** Who else uses what changes: lib/attach/disk.ts knows, for what is attached. */
export interface TableUsers {
  /** @throws ERR_DDI_BUSY if something uses any of these bytes */
  refuseUsed(runs: readonly Run[]): Promise<void>
  /** Lets devices grow with the volume that they offer. Absent: a volume in use does not grow. */
  grown?(volume: WholeVolume<LinearExtent>): Promise<void>
  /** Called for each new table, when it is on the disk. */
  changed(): Promise<void>
}

export const noUsers: TableUsers = { refuseUsed: async () => {}, changed: async () => {} }

/** Where a table is. */
export interface TablePlace {
  /** What the extents of its volumes are of. */
  readonly target: Target
  readonly path: string
  readonly users: TableUsers
  /** Only tables are written, which `target` keeps to itself: what volumes hold is not. Default: false. */
  readonly dryRun?: boolean
  readonly close: () => Promise<void>
}

/** A change that is not written yet, and the volume as it will be. */
export interface Change<Read, E extends Extent> {
  readonly next: Read
  readonly volume: WholeVolume<E>
}

/**
 * What a format says of tables: pure functions of what was read of one, `Read`; only `read` and `commit` touch the disk. The
 * volumes that they take are of that same table.
 */
export interface TableFormat<Read, Head extends object, E extends Extent> {
  /** What error messages call the place of the table. */
  readonly where: string
  readonly headNames: OptionNames<Head>
  readonly createOptionNames: OptionNames<CreateOptions>
  /** @param before as it was read before: to read it again in the same way */
  read(target: Target, before?: Read): Promise<Read>
  /** Writes a table, all or nothing. @param current as it was read */
  commit(target: Target, current: Read, next: Read): Promise<void>
  volumes(read: Read): readonly Volume<E>[]
  free(read: Read): readonly Run[]
  /** What the sizes of volumes are multiples of, in bytes. */
  unit(read: Read): number
  create(read: Read, head: Head, size: number, options: CreateOptions): Change<Read, E>
  resize(read: Read, volume: WholeVolume<E>, size: number): Change<Read, E>
  rename(read: Read, volume: WholeVolume<E>, head: Partial<Head>, options: NameOptions): Change<Read, E>
  remove(read: Read, volume: WholeVolume<E>): Read
  /** What is wrong with the table, for people. */
  findings(read: Read): readonly string[]
  repaired(read: Read): Read
}

const page = 4096

/** How many bytes are written into free space until the table is asked again whether it is free. */
const writtenUnasked = 64 * 1024 * 1024

/** What the tables of all formats have in common. */
export class OpenTable<Read, Head extends object, E extends Extent> implements VolumeTable<Head, E> {
  #volumes: readonly Volume<E>[]
  /** The change that was begun last. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(
    protected readonly rules: TableFormat<Read, Head, E>,
    protected readonly place: TablePlace,
    protected read: Read,
  ) {
    this.#volumes = rules.volumes(read)
  }

  get path(): string {
    return this.place.path
  }

  get size(): number {
    return this.place.target.size
  }

  get unit(): number {
    return this.rules.unit(this.read)
  }

  get dryRun(): boolean {
    return this.place.dryRun ?? false
  }

  get volumes(): readonly Volume<E>[] {
    return this.#volumes
  }

  get free(): readonly Run[] {
    return this.rules.free(this.read)
  }

  find(name: string): WholeVolume<E> {
    return requireWhole(findByName(this.volumes, name, this.rules.where))
  }

  async create(head: Head, size: number, options: CreateOptions = {}): Promise<WholeVolume<E>> {
    checkOptions(options, this.rules.createOptionNames, 'create')
    checkOptions(head, this.rules.headNames, 'create')
    const { from, signal, onProgress } = options
    if (from && from.size > size)
      throw new DdiError('ERR_DDI_USAGE', `the volume would have ${size} bytes, and what goes into it has ${from.size}`)
    return await this.inTurn(async () => {
      const change = this.rules.create(this.read, head, size, options)
      if (from) {
        // A first page meets all that would refuse the rest.
        const all = this.dryRun ? sliceSource(from, { start: 0, length: Math.min(from.size, page) }) : from
        await copy(all, this.freeSpace(stored(change.volume.extents)), { signal, onProgress })
      }
      return await this.commit(change)
    })
  }

  async grow(volume: WholeVolume, by: number): Promise<WholeVolume<E>> {
    return await this.inTurn(async () => {
      const current = this.current(volume)
      return await this.resizeNow(current, current.size + amount(by), {})
    })
  }

  async shrink(volume: WholeVolume, by: number, options: ResizeOptions = {}): Promise<WholeVolume<E>> {
    checkOptions(options, resizeOptionNames, 'shrink')
    return await this.inTurn(async () => {
      const current = this.current(volume)
      return await this.resizeNow(current, current.size - amount(by), options)
    })
  }

  async resize(volume: WholeVolume, size: number, options: ResizeOptions = {}): Promise<WholeVolume<E>> {
    checkOptions(options, resizeOptionNames, 'resize')
    return await this.inTurn(() => this.resizeNow(this.current(volume), size, options))
  }

  async remove(volume: WholeVolume): Promise<void> {
    await this.inTurn(async () => {
      const current = this.current(volume)
      await this.place.users.refuseUsed(stored(current.extents))
      await this.replace(this.rules.remove(this.read, current))
    })
  }

  async rename(volume: WholeVolume, head: Partial<Head>, options: NameOptions = {}): Promise<WholeVolume<E>> {
    checkOptions<Partial<Head>>(head, this.rules.headNames, 'rename')
    checkOptions(options, nameOptionNames, 'rename')
    return await this.inTurn(() => this.commit(this.rules.rename(this.read, this.current(volume), head, options)))
  }

  async check(options: CheckOptions = {}): Promise<CheckResult> {
    checkOptions(options, checkOptionNames, 'check')
    return await this.inTurn(async () => {
      const before = this.rules.findings(this.read)
      if (!options.repair || before.length === 0) return { mended: [], left: before }
      await this.replace(this.rules.repaired(this.read))
      const left = this.rules.findings(this.read)
      return { mended: before.filter((one) => !left.includes(one)), left }
    })
  }

  /** Waits for the changes under way. */
  async close(): Promise<void> {
    await this.inTurn(() => this.place.close())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Runs a change after all that were begun before: each is made on the table that the one before it left. */
  protected async inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(change)
    this.#last = result.catch(() => {})
    return await result
  }

  private async resizeNow(
    current: WholeVolume<E>,
    size: number,
    { force = false }: ResizeOptions,
  ): Promise<WholeVolume<E>> {
    const { users, target } = this.place
    const change = this.rules.resize(this.read, current, size)
    const left = change.volume.size
    const growsInUse = users.grown !== undefined && size > current.size
    if (!growsInUse) await users.refuseUsed(stored(current.extents))
    if (left < current.size && !force) {
      const hashes = this.volumes.filter(
        (one) => current.designator !== null && one.designator === `${current.designator}-verity`,
      )
      const trees = hashes.flatMap((one) => (one.state === 'whole' ? [extentSource(target, one.extents)] : []))
      await refuseCut(extentSource(target, current.extents), trees, left, nameOf(current))
    }
    const resized = await this.commit(change)
    if (growsInUse) await users.grown?.({ ...resized, extents: stored(resized.extents) })
    return resized
  }

  /** A volume as the table has it now. @throws ERR_DDI_NO_VOLUME, and the defect of a broken one */
  protected current(volume: WholeVolume): WholeVolume<E> {
    return requireWhole(this.present(volume))
  }

  /** The same of one that may be broken. @throws ERR_DDI_NO_VOLUME */
  protected present(volume: Volume): Volume<E> {
    // Programs without types may pass a name.
    if (typeof volume !== 'object')
      throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(volume)} is not a volume: pass what find() returns`)
    const wanted = identity(volume)
    const found = this.volumes.find((one) => identity(one) === wanted)
    if (!found)
      throw new DdiError('ERR_DDI_NO_VOLUME', `${this.rules.where} does not have the volume ${nameOf(volume)} any more`)
    return found
  }

  protected async commit({ next, volume }: Change<Read, E>): Promise<WholeVolume<E>> {
    await this.replace(next)
    return this.current(volume)
  }

  /**
   * Free space, to be written before the table names it.
   * @param prepare called before the first write, and now and then between others
   */
  protected freeSpace(extents: readonly LinearExtent[], prepare = () => this.makeRoom()): Target {
    let left = 0
    return guardTarget(extentTarget(this.place.target, extents), async (length) => {
      if (left <= 0) {
        await prepare()
        left = writtenUnasked
      }
      left -= length
    })
  }

  /** Makes sure that free space is still free. */
  protected async makeRoom(): Promise<void> {
    await this.#refuseChanged()
  }

  /** Another program may have written a table since ours was read, whatever lock we hold. @throws ERR_DDI_BUSY */
  async #refuseChanged(): Promise<void> {
    const { rules, place, read } = this
    if (!isDeepStrictEqual(await rules.read(place.target, read), read))
      throw new DdiError(
        'ERR_DDI_BUSY',
        `another program has changed the table of ${rules.where} since it was read: it stays as it is now`,
      )
  }

  protected async replace(next: Read): Promise<void> {
    const { target, users } = this.place
    await this.#refuseChanged()
    await this.rules.commit(target, this.read, next)
    this.read = await this.rules.read(target)
    this.#volumes = this.rules.volumes(this.read)
    await users.changed()
  }
}

/** What a volume of one table keeps as long as it is the same: the entry and UUID of its head, or the name of a logical partition. */
function identity(volume: Volume): string | undefined {
  if (volume.origin.kind === 'nested') return undefined
  const origin = ownOrigin(volume)
  if (origin.kind === 'partition') return `${origin.number} ${volume.uuid}`
  if (origin.kind === 'chain') return `${origin.segments[0].number} ${volume.uuid}`
  return origin.kind === 'logical' ? `${volume.label}` : undefined
}

/** Whether two volumes are one and the same of a table, whatever changes between them: others may have its UUID. */
export function isSameVolume(one: Volume, other: Volume): boolean {
  return identity(one) === identity(other)
}

function nameOf({ label, uuid }: Volume): string {
  return JSON.stringify(label || uuid)
}

function amount(bytes: number): number {
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes
  throw new DdiError('ERR_DDI_USAGE', `invalid size ${bytes}: a whole number of bytes above 0 is needed`)
}

/** The extents that lie somewhere. */
export function stored(extents: readonly Extent[]): LinearExtent[] {
  return extents.flatMap((extent) => (extent.kind === 'linear' ? [extent] : []))
}
