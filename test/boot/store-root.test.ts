import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findBootStore } from '../../lib/boot/boot-store.js'
import { obtainRoot } from '../../lib/boot/root.js'
import { type Mount, mountInstalled, rootInStore } from '../../lib/boot/store-root.js'
import { memorySource } from '../../lib/bytes/memory.js'
import { DdiError } from '../../lib/errors.js'
import { initDisk, openDisk } from '../../lib/index.js'
import { readStore } from '../../lib/store/disks.js'
import { bootIn, type TestBoot } from '../support/boot.js'
import { volumeHead } from '../support/gpt.js'
import { emptyFile, MiB, makeSignedImage, makeVerityImage } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { packageRoot, temporaryFolder } from '../support/run.js'
import { serve } from '../support/server.js'
import { signatureRecord } from '../support/signature-record.js'
import { smallImage } from '../support/small-images.js'
import { readImages } from '../support/store-reader.js'

const nested = '546aa983-5c4a-4c3f-9f80-ecf5ed9983d9'
const folder = temporaryFolder()
after(() => folder[Symbol.dispose]())

interface Entry {
  readonly label: string
  readonly attributes: bigint
  readonly bytes?: Uint8Array
}

const plain = smallImage(0, 4096, MiB - 4096)
const fresh = 0x1038_0000_0000_0000n

/** A machine with a disk, and what it says at its boot. */
async function machine(commandLine: string, entries: readonly Entry[], disk = 'vda'): Promise<TestBoot> {
  const root = join(folder.path, 'machine')
  if (disk === 'vda') rmSync(root, { recursive: true, force: true })
  const context = bootIn(root, commandLine)
  await addDisk(root, disk, entries)
  return context
}

async function addDisk(root: string, name: string, entries: readonly Entry[]): Promise<void> {
  mkdirSync(join(root, `sys/class/block/${name}`), { recursive: true })
  writeFileSync(join(root, `sys/class/block/${name}/size`), '65536\n')
  mkdirSync(join(root, 'dev'), { recursive: true })
  const path = join(root, 'dev', name)
  emptyFile(path, 128 * MiB)
  await using disk = await initDisk(path)
  for (const { label, attributes, bytes = plain } of entries)
    await disk.create(volumeHead(label, { typeUuid: nested, attributes }), bytes.length, { from: memorySource(bytes) })
}

/** Boots, as far as there is no kernel: which images are tried, and which one is handed the machine. */
async function boot(context: TestBoot, refuses: readonly string[] = []) {
  const mounted: string[] = []
  const mount: Mount = async ({ name }) => {
    mounted.push(name)
    if (refuses.includes(name)) throw new DdiError('ERR_DDI_FILE_SYSTEM', 'this kernel finds it damaged')
  }
  const { store } = context.parameters
  assert.ok(store)
  const disk = await findBootStore(context, store, 0)
  const image = disk && (await rootInStore(context, disk, mount))
  return { image, mounted, said: context.said.join('\n') }
}

const imagesOn = ({ root }: TestBoot, disk = 'vda') => readImages(readFileSync(join(root, 'dev', disk)))
const statesOn = (context: TestBoot) =>
  Object.fromEntries(imagesOn(context).map(({ label, tries, good }) => [label, good ? 'good' : tries]))

interface Vector {
  readonly name: string
  readonly product: string
  readonly writable: boolean
  readonly refused: readonly string[]
  readonly images: readonly { readonly label: string; readonly attributes: string }[]
  readonly boots: string | null
  readonly attributesAfterTry: string | null
}

test('every vector of the specification boots as it says', async () => {
  const vectors = JSON.parse(readFileSync(join(packageRoot, 'docs/image-store.json'), 'utf8')) as readonly Vector[]
  for (const { name, product, writable, refused, images, boots, attributesAfterTry } of vectors) {
    const entries = images.map(({ label, attributes }) => ({ label, attributes: BigInt(attributes) }))
    const context = await machine(`ddi.product=${product} ddi.store=/dev/vda ddi.insecure`, entries)
    // Who holds the disk keeps others from writing to it.
    await using _ = writable ? undefined : await openDisk(join(context.root, 'dev/vda'))
    const { image } = await boot(context, refused)
    assert.equal(image?.name ?? null, boots, name)
    const { images: left } = await readStore(join(context.root, 'dev/vda'))
    const chosen = left.find(({ label }) => label === boots)
    assert.equal(chosen ? `0x${chosen.attributes.toString(16)}` : null, attributesAfterTry, name)
    const booted = join(context.root, 'run/ddi/booted')
    assert.equal(existsSync(booted) ? readFileSync(booted, 'utf8') : null, chosen ? `${chosen.uuid}\n` : null, name)
  }
})

test('what is refused is passed over in the same boot: new ones are bad then, good ones stay good', async () => {
  const unused = 'rd.systemd.pull=raw,machine,verify=no:root:http://127.0.0.1:1/os.raw'
  const context = await machine(`ddi.product=acme ddi.insecure ${unused}`, [
    { label: 'acme_1', attributes: 0x1108_0000_0000_0000n },
    { label: 'acme_2', attributes: 0x1108_0000_0000_0000n },
    { label: 'acme_3', attributes: fresh },
    { label: 'acme_4', attributes: fresh, bytes: Buffer.alloc(MiB, 'no image') },
    { label: 'acme_5', attributes: fresh },
  ])
  const { image, mounted, said } = await boot(context, ['acme_2', 'acme_5'])
  assert.equal(image?.name, 'acme_3')
  assert.deepEqual(mounted, ['acme_5', 'acme_3'])
  assert.deepEqual(statesOn(context), { acme_1: 'good', acme_2: 'good', acme_3: 2, acme_4: 0, acme_5: 0 })
  assert.match(said, /refused acme_5 on \S+vda: .*ERR_DDI_FILE_SYSTEM/)
  assert.match(said, /an image of the store boots: nothing is pulled/)
  const again = await boot(context, ['acme_2', 'acme_3'])
  assert.equal(again.image?.name, 'acme_1')
  assert.deepEqual(statesOn(context), { acme_1: 'good', acme_2: 'good', acme_3: 0, acme_4: 0, acme_5: 0 })
})

test('an image has to be vouched for as any root', async () => {
  const [signer, other] = [makeIdentity(folder.path, 'signer'), makeIdentity(folder.path, 'other')]
  const imageOf = (name: string, make: (folder: string) => { readonly path: string; readonly rootHash: string }) => {
    mkdirSync(join(folder.path, name))
    const { path, rootHash } = make(join(folder.path, name))
    return { bytes: readFileSync(path), rootHash }
  }
  const signedBy = (name: string, who: typeof signer) =>
    imageOf(name, (at) => makeSignedImage(at, (hash) => signatureRecord(folder.path, hash, who)))
  const pinned = imageOf('pinned', makeVerityImage)
  const entries = [
    { label: 'acme_1', attributes: fresh, bytes: pinned.bytes },
    { label: 'acme_2', attributes: fresh, bytes: signedBy('signed', signer).bytes },
    { label: 'acme_3', attributes: fresh, bytes: signedBy('foreign', other).bytes },
  ]
  const certified = await machine('ddi.product=acme', entries)
  mkdirSync(join(certified.root, 'etc/verity.d'), { recursive: true })
  copyFileSync(signer.certificate, join(certified.root, 'etc/verity.d/signer.crt'))
  const { image, mounted } = await boot(certified)
  assert.deepEqual([image?.name, mounted], ['acme_2', ['acme_2']])
  assert.deepEqual(statesOn(certified), { acme_1: 3, acme_2: 2, acme_3: 0 })
  const hashed = await boot(await machine(`ddi.product=acme roothash=${pinned.rootHash}`, entries))
  assert.deepEqual([hashed.image?.rootHashes, hashed.mounted], [new Map([['root', pinned.rootHash]]), ['acme_1']])
  const bare = await machine('ddi.product=acme', entries)
  await assert.rejects(boot(bare), { code: 'ERR_DDI_UNTRUSTED' })
  assert.deepEqual(statesOn(bare), { acme_1: 3, acme_2: 3, acme_3: 3 })
})

test('what an empty store lacks is pulled into it, and boots as what was there; what has no room stays in memory', async () => {
  mkdirSync(join(folder.path, 'vendor'))
  const { path, rootHash } = makeVerityImage(join(folder.path, 'vendor'))
  await using server = await serve({
    '/acme_2.raw': { bytes: readFileSync(path) },
    '/other.raw': { bytes: readFileSync(path) },
  })
  const line = (name: string) =>
    `ddi.product=acme ddi.store=/dev/vda roothash=${rootHash} ddi.retry=0 rd.systemd.pull=raw,machine,verify=no:root:${server.url}/${name}.raw`
  const pulled = async (name: string, entries: readonly Entry[]) => {
    const context = await machine(line(name), entries)
    const store = await findBootStore(context, context.parameters.store!, 0)
    assert.equal(await rootInStore(context, store!, async () => assert.fail()), undefined)
    return { context, image: await obtainRoot(context, store) }
  }
  const { context, image } = await pulled('acme_2', [])
  assert.deepEqual([image?.stored?.label, image?.rootHashes], ['acme_2', new Map([['root', rootHash]])])
  assert.match(context.said.join('\n'), /installed: acme_2 on \S+vda/)
  await mountInstalled(context, { path: image!.path, stored: image!.stored! }, async () => {})
  assert.deepEqual(statesOn(context), { acme_2: 2 })
  assert.equal(readFileSync(join(context.root, 'run/ddi/booted'), 'utf8'), `${image!.stored!.uuid}\n`)
  // A version that is there, and failed; a name that no image of the product has.
  for (const [name, entries] of [
    ['acme_2', [{ label: 'acme_2', attributes: 0x1008_0000_0000_0000n }]],
    ['other', []],
  ] as const) {
    const { context, image } = await pulled(name, entries)
    assert.equal(image?.path, join(context.root, 'run/machines/root.raw'))
    assert.match(context.said.join('\n'), /root stays in memory: .*ERR_DDI_/)
  }
})

test('the image that is named boots whatever its state, without a try, and no other does', async () => {
  const entries = [
    { label: 'acme_1', attributes: 0x1108_0000_0000_0000n },
    { label: 'acme_2', attributes: 0x1008_0000_0000_0000n },
    { label: 'acme_3', attributes: fresh },
  ]
  for (const label of ['acme_2', 'acme_3']) {
    const context = await machine(`ddi.image=${label} ddi.insecure`, entries)
    assert.equal((await boot(context)).image?.name, label)
    assert.deepEqual(statesOn(context), { acme_1: 'good', acme_2: 0, acme_3: 3 })
  }
  const refused = await machine('ddi.product=acme ddi.image=acme_3 ddi.insecure', entries)
  await assert.rejects(boot(refused, ['acme_3']), { code: 'ERR_DDI_NO_ROOT' })
  assert.deepEqual(statesOn(refused), { acme_1: 'good', acme_2: 0, acme_3: 0 })
  await assert.rejects(boot(await machine('ddi.image=acme_9 ddi.insecure', entries)), { code: 'ERR_DDI_NO_ROOT' })
})

test('which disk is meant: the one with the product, the one that is named, or the one that the firmware booted from', async () => {
  const [one, other] = [
    { label: 'acme_1', attributes: fresh },
    { label: 'shop_1', attributes: fresh },
  ]
  const disk = async (commandLine: string, ...more: Entry[]) => {
    const context = await machine(commandLine, [one])
    await addDisk(context.root, 'vdb', [other, ...more])
    return { context, found: async () => (await findBootStore(context, context.parameters.store!, 0))?.path }
  }
  const at = (name: string) => join(folder.path, 'machine/dev', name)
  assert.equal(await (await disk('ddi.product=acme')).found(), at('vda'))
  assert.equal(await (await disk('ddi.product=shop ddi.store=auto')).found(), at('vdb'))
  assert.equal(await (await disk('ddi.product=acme ddi.store=/dev/vdb')).found(), at('vdb'))
  assert.equal(await (await disk('ddi.product=acme ddi.store=/dev/vdc')).found(), undefined)
  const two = await disk('ddi.product=acme', { label: 'acme_2', attributes: fresh })
  await assert.rejects(two.found(), { code: 'ERR_DDI_STORE_AMBIGUOUS', message: /vda, .*vdb.*ddi\.store=/ })
  const { uuid } = await readStore(at('vda'))
  two.context.put('proc/cmdline', '')
  const named = bootIn(two.context.root, `ddi.product=acme ddi.store=${uuid.toUpperCase()}`)
  assert.equal((await findBootStore(named, named.parameters.store!, 0))?.path, at('vda'))
  // Nothing of the product anywhere.
  const none = await disk('ddi.product=none')
  assert.equal(await none.found(), undefined)
  const [esp] = (await readStore(at('vdb'))).volumes
  const variable = Buffer.concat([Buffer.alloc(4), Buffer.from(`${esp!.uuid!.toUpperCase()}\0`, 'utf16le')])
  none.context.put('sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f', variable)
  assert.equal(await none.found(), at('vdb'))
})
