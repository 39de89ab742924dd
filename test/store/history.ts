// Random histories of a store, power cuts included, held to the invariants of docs/image-store.md by a reader of their own.
import assert from 'node:assert/strict'
import { diskOn } from '../../lib/disk/disk.js'
import { DdiError } from '../../lib/index.js'
import { installImage } from '../../lib/store/install.js'
import { type Store, storeOn } from '../../lib/store/store.js'
import { type Random, randomFrom } from '../fuzz/random.js'
import { emptyDisk, volumeHead } from '../support/gpt.js'
import { MiB } from '../support/images.js'
import { type RecordedWrite, recordingTarget } from '../support/power-cut.js'
import { rootOf, smallImage, streamOf } from '../support/small-images.js'
import { type ReadImage, readImages } from '../support/store-reader.js'

const products = ['acme', 'acme-shop', 'other']
const mostBoots = 3

/** What an image does with the machine, and how often it has had it. */
interface Life {
  readonly behaviour: 'works' | 'hangs' | 'refused'
  readonly root: Buffer
  readonly tries: number
  boots: number
  wasGood: boolean
}

interface History {
  readonly random: Random
  readonly lives: Map<string, Life>
  readonly disk: Buffer
  /** The writes of the step under way. */
  writes: readonly RecordedWrite[]
  /** Who was handed the machine in this step, and after how many writes. */
  booted: { readonly life: Life; readonly after: number } | undefined
  running: string | undefined
  versions: number
}

const isGood = ({ good, priority }: ReadImage) => good && priority > 0
const isCandidate = (image: ReadImage) => isGood(image) || (image.priority > 0 && image.tries > 0)

/** One change of the store, whose power may be cut; @returns whether an invariant is given up by force */
type Step = (store: Store, history: History) => Promise<'forced' | undefined>

const steps: readonly Step[] = [installOne, installOne, bootOne, bootOne, bootOne, markOne, markOne, removeOne, trimOne]

async function installOne(store: Store, history: History): Promise<undefined> {
  const { random, lives } = history
  const version = random.oneIn(4) ? `${random.below(history.versions + 1)}` : `${++history.versions}`
  const [product, tries] = [random.of(products), 1 + random.below(mostBoots)]
  const image = smallImage(1 + random.below(255), (1 + random.below(400)) * 4096, (1 + random.below(2)) * MiB)
  // A stream that breaks off leaves no image.
  const cut = random.oneIn(8) ? image.subarray(0, random.below(image.length)) : image
  const label = `${product}_${version}`
  const life: Life = {
    behaviour: random.of(['works', 'works', 'hangs', 'refused']),
    root: Buffer.from(rootOf(image)),
    tries,
    boots: 0,
    wasGood: false,
  }
  const isThere = store.images.some((one) => one.label === label)
  if (!isThere) lives.set(label, life)
  await installImage(store, streamOf(cut), { product, version, tries })
}

/** As an initrd does it: passes over what is refused, in the same boot. */
async function bootOne(store: Store, history: History): Promise<undefined> {
  const product = history.random.of(products)
  for (const image of store.candidates(product)) {
    const life = history.lives.get(image.label)!
    if (life.behaviour === 'refused') {
      await store.refuse(image)
      continue
    }
    const tried = await store.try(image)
    life.boots++
    history.booted = { life, after: history.writes.length }
    history.running = image.uuid
    if (life.behaviour === 'works') await store.mark(tried, 'good')
    return
  }
}

async function markOne(store: Store, { random, lives }: History): Promise<'forced' | undefined> {
  if (store.images.length === 0) return
  const mark = random.of(['bad', 'prefer', 'off', 'on', 'keep', 'release'] as const)
  const force = random.oneIn(5)
  const image = random.of(store.images)
  if (mark === 'bad' && lives.get(image.label)!.wasGood) return
  await store.mark(image, mark, { force })
  return force ? 'forced' : undefined
}

async function removeOne(store: Store, { random }: History): Promise<'forced' | undefined> {
  if (store.images.length === 0) return
  const force = random.oneIn(5)
  await store.remove(random.of(store.images), { force })
  return force ? 'forced' : undefined
}

async function trimOne(store: Store, { random }: History): Promise<undefined> {
  await store.trim(random.of(products), 1 + random.below(4))
}

/** Takes back all of a step but its first writes, the last of them torn: who had not been handed the machine by then, was not. */
function cutOff(before: Buffer, { disk, writes, booted, random }: History): void {
  const count = random.below(writes.length)
  if (booted && count < booted.after) booted.life.boots--
  for (const { offset, bytes } of writes) disk.set(before.subarray(offset, offset + bytes.length), offset)
  for (const { offset, bytes } of writes.slice(0, count)) disk.set(bytes, offset)
  const { offset, bytes } = writes[count]!
  disk.set(bytes.subarray(0, random.below(bytes.length)), offset)
}

function checkInvariants(
  before: readonly ReadImage[],
  after: readonly ReadImage[],
  { lives }: History,
  forced: boolean,
) {
  for (const { label, bytes, good } of after) {
    const life = lives.get(label)!
    assert.ok(rootOf(bytes).equals(life.root), `${label} is whole`)
    life.wasGood ||= good
    if (!life.wasGood) assert.ok(life.boots <= life.tries, `${label} had the machine ${life.boots} times`)
  }
  for (const product of products) {
    const of = (images: readonly ReadImage[]) => images.filter((image) => image.product === product)
    if (!forced && of(before).some(isGood)) assert.ok(of(after).some(isGood), `${product} keeps a good image`)
    if (of(after).some(isGood)) assert.ok(of(after).some(isCandidate))
  }
}

const expected = new Set([
  'ERR_DDI_NO_SPACE',
  'ERR_DDI_TABLE_FULL',
  'ERR_DDI_VOLUME_EXISTS',
  'ERR_DDI_STORE_LAST_GOOD',
  'ERR_DDI_BUSY',
  'ERR_DDI_GPT_TRUNCATED',
  'ERR_DDI_NO_TABLE',
  'ERR_DDI_GPT_ARRAY_CRC',
  'ERR_DDI_IMAGE_EMPTY',
])

/** Runs a history. @returns how many steps changed the disk, and how many were cut off */
export async function runHistory(seed: number, count: number): Promise<{ changed: number; cut: number }> {
  const random = randomFrom(seed)
  const history: History = {
    random,
    lives: new Map(),
    disk: emptyDisk(14, 32),
    writes: [],
    booted: undefined,
    running: undefined,
    versions: 0,
  }
  const others = await diskOn(recordingTarget(history.disk), 'memory')
  for (const length of [1, 1, 1]) await others.create(volumeHead(`other volume ${others.volumes.length}`), length * MiB)
  await others.remove(others.volumes[1]!.state === 'whole' ? others.volumes[1]! : assert.fail())
  const done = { changed: 0, cut: 0 }
  const before = Buffer.from(history.disk)
  let images = readImages(before)
  for (let step = 0; step < count; step++) {
    const target = recordingTarget(history.disk)
    Object.assign(history, { writes: target.writes, booted: undefined })
    let forced = false
    try {
      const store = storeOn(await diskOn(target, 'memory'), history.running)
      forced = (await random.of(steps)(store, history)) === 'forced'
    } catch (error) {
      if (!(error instanceof DdiError && expected.has(error.code))) throw error
    }
    if (target.writes.length > 0) done.changed++
    if (target.writes.length > 0 && random.oneIn(4)) {
      cutOff(before, history)
      done.cut++
    }
    const next = readImages(history.disk)
    checkInvariants(images, next, history, forced)
    for (const { offset, bytes } of target.writes) history.disk.copy(before, offset, offset, offset + bytes.length)
    images = next
  }
  return done
}
