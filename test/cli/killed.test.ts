// Killed as it enters any system call that writes: what is left, as sfdisk, 7-Zip and veritysetup read it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineImage, emptyFile, MiB, writeAt } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { attempt, cli, cliPath, run, temporaryFolder } from '../support/run.js'

const writing = ['pwrite64', 'pwritev', 'fsync', 'fdatasync', 'rename', 'linkat']

/**
 * Runs a command again and again, each time killed at a later call that writes, and at last to its end.
 * @param reset before each run
 * @param look after each @returns how often it was killed
 */
function killEverywhere(args: readonly string[], reset: () => void, look: (ended: boolean) => void): number {
  let kills = 0
  for (const call of writing)
    for (let nth = 1; ; nth++) {
      reset()
      const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${nth}`]
      const options = ['--follow-forks', '--output=/dev/null', ...inject]
      const { status, signal, stderr } = spawnSync('strace', [...options, process.execPath, cliPath, ...args], {
        // One thread makes all calls, so that each number is a point.
        env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
        encoding: 'utf8',
      })
      assert.ok(signal === 'SIGKILL' || status === 0, stderr)
      look(status === 0)
      if (status === 0) break
      kills++
      assert.ok(nth < 200, `${call} is called without end`)
    }
  return kills
}

const extensionType = '793963ad-38e6-48e4-a713-d842eeed84ee'

interface Entry {
  readonly type: string
  readonly uuid: string
  readonly start: number
  readonly size: number
  readonly name?: string
  readonly attrs?: string
}

/** The UUID of an extension, docs/extension-partitions.md. */
function extensionOf(head: string, n: number): string {
  const bytes = (uuid: string) => Buffer.from(uuid.replaceAll('-', ''), 'hex')
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64LE(BigInt(n))
  const hash = createHmac('sha256', bytes(head)).update(bytes(extensionType)).update(counter).digest().subarray(0, 16)
  hash[6] = (hash[6]! & 0x0f) | 0x80
  hash[8] = (hash[8]! & 0x3f) | 0x80
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** The volumes of a disk as sfdisk and the specification have them: their segments, by label, and a hash of what they hold. */
function volumesOf(path: string): ReadonlyMap<string, { readonly size: number; readonly begins: string }> {
  const { partitions } = JSON.parse(run('sfdisk', '--json', path)).partitiontable as { partitions: readonly Entry[] }
  const entries = partitions.map((one) => ({ ...one, type: one.type.toLowerCase(), uuid: one.uuid.toLowerCase() }))
  const bytes = readFileSync(path)
  const heads = entries.filter(({ type }) => type !== extensionType)
  let reached = heads.length
  const volumes = heads.map((head) => {
    const segments: Entry[] = [head]
    while (/\b58\b/.test(segments.at(-1)!.attrs ?? '')) {
      const next = entries.filter(({ uuid }) => uuid === extensionOf(head.uuid, segments.length))
      assert.equal(next.length, 1, `the chain of ${head.name} is whole`)
      segments.push(next[0]!)
      reached++
    }
    const contents = Buffer.concat(segments.map(({ start, size }) => bytes.subarray(start * 512, (start + size) * 512)))
    const begins = createHash('sha256')
      .update(contents.subarray(0, 2 * MiB))
      .digest('hex')
    return [head.name ?? '', { size: contents.length, begins }] as const
  })
  assert.equal(reached, entries.length, 'no extension is left over')
  return new Map(volumes)
}

/** Three volumes in pieces, each with contents of its own. */
function makeDisk(path: string): void {
  emptyFile(path, 64 * MiB)
  run('sgdisk', '--clear', path)
  const volume = (...args: string[]) => {
    const { status, stderr } = cli('volume', ...args)
    assert.equal(status, 0, stderr)
  }
  for (const label of ['a', 'b', 'c']) volume('create', path, '--type=linux-generic', `--label=${label}`, '--size=4M')
  for (const label of ['a', 'b']) volume('grow', path, label, '--size=+4M')
  const { partitions } = JSON.parse(run('sfdisk', '--json', path)).partitiontable as { partitions: readonly Entry[] }
  for (const { start, size, uuid } of partitions) writeAt(path, start * 512, Buffer.alloc(size * 512, uuid))
}

const changes: Readonly<Record<string, readonly string[]>> = {
  create: ['create', 'disk.raw', '--type=home', '--label=new', '--size=12M'],
  grow: ['grow', 'disk.raw', 'b', '--size=+9M'],
  shrink: ['shrink', 'disk.raw', 'a', '--size=5M', '--force'],
  remove: ['remove', 'disk.raw', 'b'],
  rename: ['rename', 'disk.raw', 'b', '--label=bb'],
  defragment: ['defragment', 'disk.raw'],
}

for (const [name, [verb = '', , ...rest]] of Object.entries(changes))
  test(`volume ${name}, killed at any write, leaves the old disk or the new one, by sfdisk`, () => {
    using folder = temporaryFolder()
    const [base, disk] = ['base.raw', 'disk.raw'].map((file) => join(folder.path, file)) as [string, string]
    makeDisk(base)
    const before = volumesOf(base)
    const states = new Set<string>()
    const state = (of: ReadonlyMap<string, unknown>) => JSON.stringify([...of])
    const kills = killEverywhere(
      ['volume', verb, disk, ...rest],
      () => copyFileSync(base, disk),
      () => {
        const now = volumesOf(disk)
        for (const [label, { begins }] of before) {
          const same = now.get(label) ?? now.get('bb')
          if (same) assert.equal(same.begins, begins, `the data of ${label}`)
          else assert.ok(name === 'remove' && label === 'b', `${label} is lost`)
        }
        states.add(state(now))
        assert.equal(attempt('sfdisk', '--verify', disk).status, 0)
      },
    )
    assert.ok(kills >= 4, `${kills} kills`)
    // Defragmenting moves one volume after the other.
    assert.ok(states.size <= (name === 'defragment' ? 4 : 2), [...states].join('\n'))
    if (name !== 'defragment') assert.ok(states.has(state(before)))
  })

test('android resize, killed at any write, leaves the old size or the new one, by 7-Zip', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  writeFileSync(at('system.img'), Buffer.alloc(MiB, 'system'))
  writeFileSync(at('data.img'), Buffer.alloc(MiB, 'data'))
  const made = cli(
    'android',
    'make',
    at('base.img'),
    '--device-size=8M',
    `--partition=system:none:${MiB}:default`,
    `--partition=data:none:${MiB}:default`,
    `--image=system=${at('system.img')}`,
    `--image=data=${at('data.img')}`,
  )
  assert.equal(made.status, 0, made.stderr)
  const sizes = new Set<number>()
  const kills = killEverywhere(
    ['android', 'resize', at('super.img'), 'data', '--size=2M'],
    () => copyFileSync(at('base.img'), at('super.img')),
    () => {
      run('7zz', 'x', '-y', '-tLP', `-o${at('files')}`, at('super.img'))
      const bytes = (name: string) => readFileSync(join(at('files'), `${name}.img`))
      assert.ok(bytes('system').equals(readFileSync(at('system.img'))))
      assert.ok(
        bytes('data')
          .subarray(0, MiB)
          .equals(readFileSync(at('data.img'))),
      )
      sizes.add(bytes('data').length)
    },
  )
  assert.ok(kills >= 4, `${kills} kills`)
  assert.deepEqual([...sizes].sort(), [MiB, 2 * MiB])
})

test('verity format, killed at any write, leaves no hash file or a whole one, by veritysetup', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  writeFileSync(at('data'), Buffer.alloc(4 * MiB, 'data'))
  const rootHash = /[0-9a-f]{64}/.exec(
    cli('verity', 'format', at('data'), at('hash'), `--salt=${'ab'.repeat(32)}`).stdout,
  )![0]
  const clean = () => run('rm', '-f', at('hash'))
  const kills = killEverywhere(
    ['verity', 'format', at('data'), at('hash'), `--salt=${'ab'.repeat(32)}`],
    clean,
    (ended) => {
      const there = existsSync(at('hash'))
      if (there) run('veritysetup', 'verify', at('data'), at('hash'), rootHash)
      else assert.ok(!ended)
      assert.equal(statSync(at('data')).size, 4 * MiB)
      if (ended) assert.deepEqual(readdirSync(folder.path).sort(), ['data', 'hash'])
    },
  )
  assert.ok(kills >= 3, `${kills} kills`)
})

test('verity format --append, killed at any write, keeps the data, and is right when it is said to be, by veritysetup', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'data')
  const data = Buffer.alloc(2 * MiB, 'data')
  const kills = killEverywhere(
    ['verity', 'format', path, '--append', `--salt=${'ab'.repeat(32)}`],
    () => writeFileSync(path, data),
    (ended) => {
      assert.ok(readFileSync(path).subarray(0, data.length).equals(data))
      if (!ended) return
      const offset = `--hash-offset=${data.length}`
      const rootHash = /^Root hash:\s+(\w+)$/m.exec(
        run(
          'veritysetup',
          'format',
          '--no-superblock',
          `--salt=${'ab'.repeat(32)}`,
          path,
          join(folder.path, 'hash'),
          '--data-blocks=512',
        ),
      )![1]!
      run('veritysetup', 'verify', path, path, rootHash, offset)
    },
  )
  assert.ok(kills >= 2, `${kills} kills`)
})

test('a build that is killed leaves nothing that the next one does not remove, and no tool that goes on', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const { key, certificate } = makeIdentity(folder.path, 'signer')
  mkdirSync(at('tree/etc'), { recursive: true })
  writeFileSync(at('tree/etc/file'), 'x')
  const definitions = defineImage(folder.path, {
    '1': ['Type=root', 'Format=ext4', 'CopyFiles=/etc', 'Verity=data', 'VerityMatchKey=r'],
    '2': ['Type=root-verity', 'Verity=hash', 'VerityMatchKey=r'],
    '3': ['Type=root-verity-sig', 'Verity=signature', 'VerityMatchKey=r'],
  })
  const before = readdirSync(folder.path)
  const build = ['build', '--definitions', definitions, '--root', at('tree'), '-o', at('out.raw')]
  const signed = [...build, '--certificate', certificate]
  // The signer is a tool of the build: it kills it, and would outlive it.
  const killing = `echo $$ >'${at('signer')}'; kill -9 $PPID; exec sleep 1000`
  const { signal } = spawnSync(process.execPath, [cliPath, ...signed, `--signer=${killing}`], { stdio: 'ignore' })
  assert.equal(signal, 'SIGKILL')
  const left = readdirSync(folder.path).filter((name) => name.startsWith('.out.raw'))
  assert.ok(left.some((name) => name.endsWith('.tree')) && left.some((name) => name.endsWith('.contents')), left.join())
  const signer = readFileSync(at('signer'), 'utf8').trim()
  while (existsSync(`/proc/${signer}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${signer}/status`, 'utf8')))
    await sleep(10)
  const next = cli(...signed, '--key', key)
  assert.equal(next.status, 0, next.stderr)
  assert.deepEqual(readdirSync(folder.path).sort(), [...before, 'out.raw', 'signer'].sort())
})
