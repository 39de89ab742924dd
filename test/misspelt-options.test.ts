import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as android from '../lib/android/index.js'
import * as gpt from '../lib/gpt/index.js'
import * as ddi from '../lib/index.js'
import * as verity from '../lib/verity/index.js'
import { MiB, makeGptImage, typeUuids } from './support/images.js'
import { packageRoot, temporaryFolder } from './support/run.js'

type Call = (options: never) => unknown
const nothing = undefined as never

/** Every public function that takes options, called with nothing else that would let it get anywhere. */
const calls: Readonly<Record<string, Call>> = {
  activate: (options) => ddi.activate(nothing, options),
  attach: (options) => ddi.attach(nothing, options),
  boot: (options) => ddi.boot(options),
  buildExtraInitrd: (options) => ddi.buildExtraInitrd(nothing, options),
  buildImage: (options) => ddi.buildImage(nothing, nothing, options),
  buildInitrd: (options) => ddi.buildInitrd(nothing, options),
  buildUki: (options) => ddi.buildUki(nothing, options),
  availableUpdate: (options) => ddi.availableUpdate(nothing, nothing, options),
  convertSparse: (options) => ddi.convertSparse(nothing, nothing, options),
  copyFrom: (options) => ddi.copyFrom(nothing, nothing, nothing, options),
  copyTo: (options) => ddi.copyTo(nothing, nothing, nothing, options),
  detach: (options) => ddi.detach(nothing, options),
  detachAll: (options) => ddi.detachAll(options),
  digestFile: (options) => ddi.digestFile(nothing, nothing, options),
  dissect: (options) => ddi.dissect(nothing, options),
  dissectVerityDevices: (options) => ddi.dissectVerityDevices(nothing, nothing, nothing, nothing, options),
  encodeSparse: (options) => android.encodeSparse(nothing, nothing, options),
  extractLogical: (options) => ddi.extractLogical(nothing, nothing, options),
  findBootOrigin: (options) => ddi.findBootOrigin(options),
  findStores: (options) => ddi.findStores(options),
  formatFile: (options) => ddi.formatFile(nothing, nothing, options),
  formatParity: (options) => ddi.formatParity(nothing, nothing, nothing, options),
  imageOn: (options) => ddi.imageOn(nothing, options),
  initDisk: (options) => ddi.initDisk('/nowhere', options),
  installDisk: (options) => ddi.installDisk('/nowhere', options),
  installImage: (options) => ddi.installImage(nothing, nothing, options),
  installUpdate: (options) => ddi.installUpdate(nothing, nothing, nothing, options),
  makeSuper: (options) => ddi.makeSuper(nothing, nothing, options),
  mountImage: (options) => ddi.mountImage(nothing, nothing, options),
  nestedVolumes: (options) => ddi.nestedVolumes(nothing, nothing, options),
  newSuperblock: (options) => verity.newSuperblock(nothing, options),
  openImage: (options) => ddi.openImage(nothing, options),
  openDisk: (options) => ddi.openDisk('/nowhere', options),
  openStore: (options) => ddi.openStore('/nowhere', options),
  openSuper: (options) => ddi.openSuper(nothing, options),
  partitionDisk: (options) => ddi.partitionDisk(nothing, nothing, options),
  plan: (options) => ddi.plan(nothing, options),
  pull: (options) => ddi.pull('http://localhost', { kind: 'raw', path: '/nowhere' }, options),
  pullWithSideFiles: (options) => ddi.pullWithSideFiles(nothing, nothing, nothing, options),
  pullAtBoot: (options) => ddi.pullAtBoot(options),
  scrub: (options) => ddi.scrub(nothing, nothing, options),
  sign: (options) => ddi.sign(nothing, nothing, options),
  verify: (options) => ddi.verify(nothing, options),
  verifyTree: (options) => verity.verifyTree(nothing, nothing, nothing, options),
  withMount: (options) => ddi.withMount(nothing, options, nothing),
  withTree: (options) => ddi.withTree(nothing, options, nothing),
  writeParity: (options) => verity.writeParity(nothing, nothing, nothing, options),
  writeTree: (options) => verity.writeTree(nothing, nothing, nothing, options),
}

test('every public function whose declaration has options is in that table', () => {
  const library = join(packageRoot, 'dist/lib')
  const declarations = readdirSync(library, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.d.ts'))
    .map((file) => readFileSync(join(library, file), 'utf8'))
    .join('\n')
  const takeOptions = [
    ...declarations.matchAll(/^export declare function (\w+)[^;]*?\??: (?:\w*Options|Work)\b/gm),
  ].map(([, name]) => name!)
  const offered = new Set([ddi, gpt, verity, android].flatMap((face) => Object.keys(face)))
  assert.deepEqual(takeOptions.filter((name) => offered.has(name)).sort(), Object.keys(calls).sort())
})

async function assertRefused(name: string, call: () => unknown): Promise<void> {
  await assert.rejects(async () => await call(), {
    code: 'ERR_DDI_USAGE',
    message: `unknown option "misspelt" of ${name}()`,
  })
}

for (const [name, call] of Object.entries(calls))
  test(`${name} refuses a misspelt option, before it does anything`, async () => {
    await assertRefused(name, () => call({ misspelt: true } as never))
  })

test('the methods of a disk refuse misspelt options', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.home, size: MiB, label: 'home' }])
  await using disk = await ddi.openDisk(path)
  const volume = disk.find('home')
  const misspelt = { misspelt: true } as never
  await assertRefused('create', () => disk.create(nothing, MiB, misspelt))
  await assertRefused('resize', () => disk.resize(volume, 2 * MiB, misspelt))
  await assertRefused('shrink', () => disk.shrink(volume, 4096, misspelt))
  await assertRefused('check', () => disk.check(misspelt))
  await assertRefused('defragment', () => disk.defragment(misspelt))
  assert.deepEqual(disk.find('home'), volume)
})

test('an option that is almost right is named', async () => {
  await assert.rejects(ddi.attach('/nowhere', { roothash: 'zz' } as never), {
    code: 'ERR_DDI_USAGE',
    message: 'unknown option "roothash" of attach(); did you mean rootHash?',
  })
})
