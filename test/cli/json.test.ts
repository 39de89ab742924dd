import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import type { readIndex } from '../../lib/cli/verb-index.js'
import { defineImage, emptyFile, MiB, makeFileSystem, makeVerityImage } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { cli, packageRoot, temporaryFolder } from '../support/run.js'
import { smallImage } from '../support/small-images.js'
import { makeSmallUki } from '../support/uki.js'

const { verbs } = JSON.parse(readFileSync(join(packageRoot, 'dist/cli/verbs.json'), 'utf8')) as ReturnType<
  typeof readIndex
>

/** Verbs that do more than this test can: where their JSON is checked. */
const elsewhere: Readonly<Record<string, string>> = {
  attach: 'kernel/attach.test.ts',
  detach: 'kernel/attach.test.ts',
  mount: 'kernel/mount.test.ts',
  umount: 'kernel/mount.test.ts',
  boot: 'kernel/boot-stages.test.ts',
  'android attach': 'kernel/android.test.ts',
  'verity attach': 'kernel/attach.test.ts',
  'uki build': 'uki/uki.test.ts',
  'store good': 'cli/store.test.ts',
  'store update': 'store/update.test.ts',
}

/** Prints something else than JSON, or needs a machine that booted from a URL: their failures are JSON all the same. */
const failing = ['with', 'boot-origin']

test('each verb prints the JSON of its schema, whatever it does', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const { path, rootHash } = makeVerityImage(folder.path)
  const ext4 = makeFileSystem(folder.path, 'ext4')
  const { key, certificate } = makeIdentity(folder.path, 'me')
  const uki = await makeSmallUki(at('acme.efi'), { '.uname': '6.1.0', '.linux': 'kernel' })
  writeFileSync(at('acme_1.raw'), smallImage(1))
  writeFileSync(at('acme_2.raw'), smallImage(2))
  const [disk, target, store] = [at('disk.raw'), at('target.raw'), at('store.raw')]
  for (const one of [disk, target, store]) emptyFile(one, 128 * MiB)
  const definitions = defineImage(folder.path, { '10-home': ['Type=home', 'SizeMinBytes=1M', 'SizeMaxBytes=1M'] })
  const done = new Set<string>()
  const json = (verb: string, ...args: readonly string[]) => {
    done.add(verb)
    const { status, stdout, stderr } = cli(...verb.split(' '), ...args, '--json=short')
    assert.equal(status, 0, `${verb}: ${stderr}`)
    assert.doesNotMatch(stdout, /^\{"error"/, verb)
    return JSON.parse(stdout)
  }
  for (const verb of ['inspect', 'plan', 'validate', 'verify'])
    json(verb, path, '--root-hash', rootHash, '--architecture=x86-64')
  for (const verb of ['list-files', 'digest']) assert.ok(json(verb, ext4).files.length > 3)
  json('inspect', ext4, '--contents')
  json('copy-from', ext4, 'etc/os-release', at('out'))
  json('copy-to', ext4, at('out'), 'copy')
  json('archive', ext4, at('out.tar'))
  json('build', '--definitions', definitions, '--root', folder.path, '-o', at('built.raw'))
  json('completion', 'fish')
  json('list')
  json('discover')
  json('pull', at('acme_1.raw'), '--output', at('pulled.raw'))

  const tree = json('verity format', at('acme_1.raw'), '--fec-device', at('fec'))
  json('verity dump', tree.file)
  json('verity verify', at('acme_1.raw'), tree.file, tree.rootHash)
  json('verity sign', tree.rootHash, at('signature'), '--key', key, '--certificate', certificate)

  json('volume init', disk)
  json('volume create', disk, '--type=home', '--size=1M', '--label=home')
  json('volume grow', disk, 'home', '--size=1M')
  json('volume shrink', disk, 'home', '--size=1M')
  json('volume rename', disk, 'home', '--label=other')
  json('volume check', disk)
  json('volume defragment', disk)
  assert.equal(json('volume list', disk, '--nested').volumes[0].label, 'other')
  json('volume remove', disk, 'other')

  json('volume init', store, '--entries=512')
  for (const image of ['acme_1', 'acme_2']) json('store install', store, at(`${image}.raw`))
  for (const verb of ['good', 'keep', 'release', 'prefer', 'on']) json(`store ${verb}`, store, 'acme_1')
  json('store off', store, 'acme_1', '--force')
  json('store bad', store, 'acme_2')
  for (const verb of ['list', 'boot-order', 'check']) json(`store ${verb}`, store)
  json('store remove', store, 'acme_2')
  json('store units')
  json('install', target, '--uki', uki, '--image', at('acme_1.raw'))

  const parts = ['--device-size=8M', '--group=main:4M', '--partition=a:none:1M:main', '--partition=b:readonly:1M']
  json('android make', at('super.img'), ...parts)
  json('android add', at('super.img'), 'c', '--size=1M')
  json('android resize', at('super.img'), 'c', '--size=2M')
  json('android remove', at('super.img'), 'c')
  json('android resize-group', at('super.img'), 'main', '--size=0')
  json('android dump', at('super.img'), '--all')
  json('android extract', at('super.img'), '--output', at('parts'))
  json('android convert', at('super.img'), at('super.simg'), '--sparse')

  json('uki inspect', uki)
  json('uki initrd', '--no-init', '-o', at('extra.cpio'), '--certificate', certificate)

  for (const [verb, file] of Object.entries(elsewhere)) {
    const text = readFileSync(join(packageRoot, 'test', file), 'utf8')
    assert.ok(text.includes('--json=short'), `${verb}: ${file} asks for no JSON`)
    done.add(verb)
  }
  for (const verb of failing) {
    assert.notEqual(JSON.parse(cli(verb, '--json=short', '/none', '/such').stdout).error, undefined)
    done.add(verb)
  }
  assert.deepEqual([...done].sort(), verbs.map(({ name }) => name).sort())
})

test('a schema takes no JSON but that of its verb', () => {
  const folder = join(packageRoot, 'dist/schemas')
  const names = verbs.map(({ name }) => `${name.replace(' ', '-')}.json`)
  assert.deepEqual(readdirSync(folder).sort(), names.sort())
  const failure = {
    error: {
      ...{ code: 'ERR_DDI_USAGE', message: '', hint: null, errno: null, syscall: null, path: null },
      ...{ needed: null, free: null, partition: null, block: null },
    },
  }
  for (const name of names) {
    const schema = z.fromJSONSchema(JSON.parse(readFileSync(join(folder, name), 'utf8')))
    assert.ok(schema.safeParse(failure).success, name)
    for (const wrong of [{}, [], null, { error: {} }, { ...failure, more: 1 }])
      assert.ok(!schema.safeParse(wrong).success, `${name}: ${JSON.stringify(wrong)}`)
  }
})
