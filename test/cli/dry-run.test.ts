// What changes a disk, a file or the machine can be tried first, and a try tells what comes of it in earnest.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { readIndex } from '../../lib/cli/verb-index.js'
import { emptyFile, MiB } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { cli, packageRoot, temporaryFolder } from '../support/run.js'
import { smallImage } from '../support/small-images.js'

const { verbs } = JSON.parse(readFileSync(join(packageRoot, 'dist/cli/verbs.json'), 'utf8')) as ReturnType<
  typeof readIndex
>

/** They change nothing. */
const readers: readonly string[] = [
  ...['boot-origin', 'completion', 'digest', 'discover', 'inspect', 'list', 'list-files', 'plan', 'validate', 'verify'],
  ...['android dump', 'store boot-order', 'store check', 'store list', 'uki inspect', 'verity dump', 'volume list'],
]

/** They change something, and cannot be tried. */
const withoutTry: Readonly<Record<string, string>> = {
  attach: 'changes no disk: plan shows the devices',
  'android attach': 'changes no disk: android dump shows what there is',
  'verity attach': 'changes no disk, and makes one device',
  detach: 'changes no disk: list shows the devices',
  mount: 'changes no disk unless somebody writes',
  umount: 'changes no disk: list shows what there is',
  with: 'what changes is the business of its command',
  boot: 'hands the machine over',
  archive: 'writes a new file, and replaces none',
  'copy-from': 'writes a new file, and replaces none',
  'copy-to': 'writes what is named where it is named: list-files shows what is there',
  pull: 'writes something new: what it is, its bytes tell',
  'uki build': 'writes one new file',
  'uki initrd': 'writes one new file',
  'verity verify': 'changes nothing without --repair, and says then what that would do',
}

/** Where what takes long, needs a server, or writes to /etc is tried. */
const triedElsewhere: Readonly<Record<string, string>> = {
  build: 'build/existing.test.ts',
  install: 'install/install-disk.test.ts',
  'store update': 'store/update.test.ts',
  'store units': 'store/update.test.ts',
}

/** They print all in one way, which `store off` stands for. */
const marks = ['keep', 'good', 'release', 'prefer', 'on'].map((mark) => `store ${mark}`)

interface Tried {
  readonly dryRun: boolean
}

/** The content of each file of a folder, and when it was written. */
function contentsOf(folder: string): Readonly<Record<string, string>> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  return Object.fromEntries(
    files.map((name) => {
      const path = join(folder, name)
      const stats = statSync(path, { bigint: true })
      if (!stats.isFile()) return [name, 'a directory']
      return [name, `${createHash('sha256').update(readFileSync(path)).digest('hex')} ${stats.mtimeNs}`]
    }),
  )
}

const received = ['size', 'downloaded', 'sha256', 'compression']

/** JSON without what is random in it, and without what only a try or only the change says. */
function comparable(text: string): unknown {
  const uuids = new Map<string, string>()
  const named = text.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (uuid) => {
    uuids.set(uuid, uuids.get(uuid) ?? `UUID ${uuids.size}`)
    return uuids.get(uuid)!
  })
  const untold = ['dryRun', 'bootEntry', 'salt', 'rootHash', ...(named.includes('downloaded') ? received : [])]
  return Object.fromEntries(Object.entries(JSON.parse(named) as object).filter(([name]) => !untold.includes(name)))
}

test('a try writes no byte, and prints what the change prints then', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const [disk, store] = [at('disk.raw'), at('store.raw')]
  for (const one of [disk, store]) emptyFile(one, 12 * MiB)
  for (const version of [1, 2]) writeFileSync(at(`acme_${version}.raw`), smallImage(version))
  const { key, certificate } = makeIdentity(folder.path, 'me')
  const tried = new Set(Object.keys(triedElsewhere))
  const change = (verb: string, ...args: readonly string[]) => {
    const { status, stdout, stderr } = cli(...verb.split(' '), ...args, '--json=short')
    assert.equal(status, 0, `${verb}: ${stderr}`)
    return stdout
  }
  const tryFirst = (verb: string, ...args: readonly string[]) => {
    tried.add(verb)
    const before = contentsOf(folder.path)
    if (!marks.includes(verb)) {
      const shown = cli(...verb.split(' '), ...args, '--dry-run')
      assert.equal(shown.status, 0, `${verb}: ${shown.stderr}`)
      assert.match(shown.stdout, /\bwould\b/, verb)
    }
    const json = change(verb, ...args, '--dry-run')
    assert.deepEqual(contentsOf(folder.path), before, verb)
    assert.equal((JSON.parse(json) as Tried).dryRun, true, verb)
    const done = change(verb, ...args)
    assert.equal((JSON.parse(done) as Tried).dryRun, false, verb)
    assert.notDeepEqual(contentsOf(folder.path), before, `${verb} changed nothing in earnest either`)
    assert.deepEqual(comparable(json), comparable(done), verb)
  }
  tryFirst('volume init', disk)
  tryFirst('volume create', disk, '--type=home', '--label=home', '--from', at('acme_1.raw'))
  change('volume create', disk, '--type=srv', '--label=srv', '--size=1M')
  tryFirst('volume grow', disk, 'home', '--size=1000001')
  tryFirst('volume shrink', disk, 'home', '--size=4K', '--force')
  tryFirst('volume rename', disk, 'home', '--label=other')
  change('volume remove', disk, 'srv')
  tryFirst('volume defragment', disk)
  tryFirst('volume remove', disk, 'other')
  const damaged = openSync(disk, 'r+')
  writeSync(damaged, new Uint8Array(512), 0, 512, 512)
  closeSync(damaged)
  tryFirst('volume check', disk, '--repair')
  rmSync(disk)

  change('volume init', store)
  change('store install', store, at('acme_1.raw'))
  tryFirst('store install', store, at('acme_2.raw'))
  for (const mark of marks) tryFirst(mark, store, 'acme_1')
  tryFirst('store off', store, 'acme_1', '--force')
  tryFirst('store bad', store, 'acme_2')
  tryFirst('store remove', store, 'acme_2')
  rmSync(store)

  const parts = ['--device-size=8M', '--group=main:4M', '--partition=old:none:1M', '--sparse']
  tryFirst('android make', at('super.img'), ...parts)
  tryFirst('android add', at('super.img'), 'a', '--size=1000001')
  tryFirst('android resize', at('super.img'), 'a', '--size=+1M')
  tryFirst('android extract', at('super.img'), 'old', '--output', at('parts'))
  tryFirst('android convert', at('super.img'), at('plain.img'))
  tryFirst('android remove', at('super.img'), 'a')
  tryFirst('android resize-group', at('super.img'), 'main', '--size=2M')

  tryFirst('verity format', at('acme_1.raw'), '--append', '--fec-device', at('fec'))
  tryFirst('verity sign', '42'.repeat(32), at('signature'), '--key', key, '--certificate', certificate)
  assert.deepEqual([...tried].sort(), withTry)
})

const withTry = verbs
  .filter(({ options }) => options.some(({ flags }) => flags === '--dry-run'))
  .map(({ name }) => name)
  .sort()

test('each verb can be tried that changes a disk, a file or the machine', () => {
  const classes = [...readers, ...Object.keys(withoutTry), ...withTry]
  assert.deepEqual(classes.sort(), verbs.map(({ name }) => name).sort())
})

test('a try refuses what the change would refuse', () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  emptyFile(disk, 8 * MiB)
  cli('volume', 'init', disk)
  cli('volume', 'create', disk, '--type=home', '--label=home', '--size=1M')
  const refused = (code: string, ...args: readonly string[]) => {
    const before = contentsOf(folder.path)
    for (const more of [['--dry-run'], []]) assert.match(cli(...args, ...more).stderr, new RegExp(code), args.join(' '))
    assert.deepEqual(contentsOf(folder.path), before)
  }
  refused('ERR_DDI_NO_SPACE', 'volume', 'create', disk, '--type=home', '--size=1G')
  refused('ERR_DDI_VOLUME_EXISTS', 'volume', 'create', disk, '--type=srv', '--size=1M', '--label=home')
  refused('ERR_DDI_EXISTS', 'volume', 'init', disk)
  refused('ERR_DDI_NO_VOLUME', 'volume', 'remove', disk, 'none')
  refused('ERR_DDI_NO_VOLUME', 'store', 'good', disk, 'none')
})
