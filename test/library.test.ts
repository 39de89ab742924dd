// What the command line can, a program can: each verb has its calls in the library, and no verb knows more than they do.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import * as android from '../lib/android/index.js'
import type { readIndex } from '../lib/cli/verb-index.js'
import * as gpt from '../lib/gpt/index.js'
import * as ddi from '../lib/index.js'
import * as verity from '../lib/verity/index.js'
import { flipBit, MiB, makeVerityImage } from './support/images.js'
import { packageRoot, temporaryFolder } from './support/run.js'

const { verbs } = JSON.parse(readFileSync(join(packageRoot, 'dist/cli/verbs.json'), 'utf8')) as ReturnType<
  typeof readIndex
>

/** The calls of a verb, or why the library has none. */
const calls: Readonly<Record<string, readonly Call[] | string>> = {
  attach: [ddi.attach, ddi.activate],
  boot: [ddi.boot, ddi.openBootLog],
  'boot-origin': [ddi.findBootOrigin],
  build: [ddi.buildImage, ddi.partitionDisk],
  completion: 'of the shell alone',
  'copy-from': [ddi.withTree, ddi.copyFrom],
  archive: [ddi.withTree, ddi.archiveTree],
  'copy-to': [ddi.withTree, ddi.copyTo],
  discover: [ddi.discoverImages],
  detach: [ddi.detach, ddi.detachAll],
  digest: [ddi.withTree, ddi.digestTree, ddi.formatManifestLine],
  inspect: [ddi.openImage, ddi.dissect, ddi.readFacts],
  install: [ddi.installDisk],
  list: [ddi.list],
  'list-files': [ddi.withTree],
  mount: [ddi.mountImage],
  plan: [ddi.plan],
  pull: [ddi.pull, ddi.pullWithSideFiles, ddi.pullAtBoot],
  umount: [ddi.unmountImage],
  validate: [ddi.validate],
  verify: [ddi.verify],
  with: [ddi.withMount],
  'android add': [ddi.openSuper],
  'android attach': [ddi.openImage, ddi.logicalPartitions, ddi.plan, ddi.activate],
  'android convert': [ddi.convertSparse],
  'android dump': [ddi.findSuper, android.readSuper, android.readMetadataImage],
  'android extract': [ddi.extractLogical],
  'android make': [ddi.makeSuper],
  'android remove': [ddi.openSuper],
  'android resize': [ddi.openSuper],
  'android resize-group': [ddi.openSuper],
  'store bad': [ddi.openStore],
  'store boot-order': [ddi.readStore, ddi.candidates],
  'store check': [ddi.openStore, ddi.imagesAmong, ddi.scrub],
  'store good': [ddi.openStore],
  'store install': [ddi.installImage],
  'store keep': [ddi.openStore],
  'store list': [ddi.readStore, ddi.findStores, ddi.runningImage],
  'store off': [ddi.openStore],
  'store on': [ddi.openStore],
  'store prefer': [ddi.openStore],
  'store release': [ddi.openStore],
  'store remove': [ddi.openStore],
  'store units': [ddi.storeUnits, ddi.installUnits],
  'store update': [ddi.availableUpdate, ddi.installUpdate, ddi.readTransfers],
  'uki build': [ddi.buildUki],
  'uki initrd': [ddi.buildInitrd, ddi.buildExtraInitrd],
  'uki inspect': [ddi.inspectUki],
  'verity attach': [ddi.attachVerity],
  'verity dump': [ddi.openTreeFile],
  'verity format': [ddi.formatFile, ddi.formatParity],
  'verity sign': [ddi.sign, verity.encodeSignatureRecord],
  'verity verify': [ddi.verifyFile],
  'volume check': [ddi.openDisk],
  'volume create': [ddi.openDisk, ddi.makeVolumeHead],
  'volume defragment': [ddi.openDisk],
  'volume grow': [ddi.openDisk, ddi.prepareResize],
  'volume init': [ddi.initDisk],
  'volume list': [ddi.readDisk, ddi.nestedVolumes],
  'volume remove': [ddi.openDisk],
  'volume rename': [ddi.openDisk],
  'volume shrink': [ddi.openDisk],
}
type Call = (...given: never[]) => unknown

test('every verb has its calls in the library', () => {
  assert.deepEqual(Object.keys(calls).sort(), verbs.map(({ name }) => name).sort())
  for (const [verb, named] of Object.entries(calls))
    if (typeof named !== 'string') for (const call of named) assert.equal(typeof call, 'function', verb)
})

/** What is the command's own business: to read what is typed, to print, and to find and make the files that are named, and those behind its streams. */
const ownBusiness: readonly RegExp[] = [
  /^lib\/(text|size|uuid|tool|errors|work|kernel-command-line)[.]ts$/,
  /^lib\/bytes\/(exists|extents|runs|new-file|small-file|scratch)[.]ts$/,
  /^(lib\/pull\/tune|bindings\/package-root)[.]ts$/,
]
/** What help says of a range or a default. */
const limits = /^(fewest|most|default|sectorSize$|checkRoots$|sideFileEndings$)/

/** The names that `import` and `export … from` statements take, as `FILE NAME`. */
function namesFrom(file: string, statement: 'import' | 'export'): string[] {
  const text = readFileSync(join(packageRoot, file), 'utf8')
  const pattern = new RegExp(`^${statement} \\{([^}]*)\\} from '(\\.[^']+)'`, 'gm')
  return [...text.matchAll(pattern)].flatMap(([, names, path]) =>
    names!
      .split(',')
      .map((name) => name.trim().split(' as ')[0]!)
      .filter((name) => name !== '' && !name.startsWith('type '))
      .map((name) => `${join(dirname(file), path!).replace(/js$/, 'ts')} ${name}`),
  )
}

test('the command line uses nothing of the library that programs cannot have', () => {
  const rooms = ['gpt', 'verity', 'android'].flatMap((room) => [`lib/${room}/index.ts`, `lib/${room}/portable.ts`])
  const faces = ['lib/index.ts', ...rooms]
  const offered = new Set(faces.flatMap((face) => namesFrom(face, 'export')))
  const files = readdirSync(join(packageRoot, 'lib/cli'), { recursive: true, encoding: 'utf8' })
  const hidden = files
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => namesFrom(join('lib/cli', file), 'import'))
    .filter((one) => !one.startsWith('lib/cli/') && !offered.has(one))
    .filter((one) => {
      const [file, name] = one.split(' ') as [string, string]
      return !ownBusiness.some((room) => room.test(file)) && !limits.test(name)
    })
  assert.deepEqual([...new Set(hidden)], [])
})

test('faces of the formats have what makes a table too', async () => {
  const size = 4 * 1024 * 1024
  const bytes = new Uint8Array(size)
  const head = ddi.makeVolumeHead({ type: 'home', label: 'home', growFileSystem: true })
  const partition = { ...head, number: 1, start: 1024 * 1024, length: 1024 * 1024 }
  const table = gpt.newGpt(size, 512, '5a1b6e3c-8a0d-4b4e-9d5f-1f0a5f3f7c11', [partition])
  for (const write of gpt.encodeNewDisk(table, size)) bytes.set(write.bytes, write.offset)
  const { volumes } = await ddi.readDisk(ddi.memorySource(bytes))
  assert.deepEqual(
    volumes.map(({ designator, label, flags }) => ({ designator, label, flags })),
    [{ designator: 'home', label: 'home', flags: { readOnly: false, noAuto: false, growFileSystem: true } }],
  )
  assert.throws(() => ddi.makeVolumeHead({ type: 'hoem' }), { code: 'ERR_DDI_USAGE' })
  assert.equal(ddi.partitionTypeUuid('root', 'arm64'), ddi.makeVolumeHead({ type: 'root-arm64' }).typeUuid)
})

test('errors carry what they are about', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  writeFileSync(path, new Uint8Array(8 * MiB))
  await using disk = await ddi.initDisk(path)
  const free = disk.free.reduce((sum, { length }) => sum + length, 0)
  const head = ddi.makeVolumeHead({ type: 'home' })
  await assert.rejects(disk.create(head, 2 * free), { code: 'ERR_DDI_NO_SPACE', needed: 2 * free, free })
  const { path: image, rootHash, dataStart } = makeVerityImage(folder.path)
  flipBit(image, dataStart + 4096)
  await using opened = await ddi.openImage(image)
  const root = (await ddi.dissect(opened, { rootHash })).verity.get('root')
  assert.ok(root?.trusted)
  const data = ddi.volumeSource(opened, 'os_1')
  const checked = await verity.checkedSource(root.superblock, data, root.hash.source, root.rootHash)
  await assert.rejects(checked.read(0, 8192), { code: 'ERR_DDI_VERITY_CORRUPT', block: 1 })
  const aborted = ddi.verify(await ddi.dissect(opened, { rootHash }), { signal: AbortSignal.abort() })
  await assert.rejects(aborted, { name: 'AbortError', code: 'ERR_DDI_ABORTED' })
})
