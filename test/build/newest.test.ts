// What systemd's own test of systemd-repart (TEST-58-REPART) says in versions after 252.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildImage, openImage, partitionDisk } from '../../lib/index.js'
import { defineImage, emptyFile, MiB, typeUuids } from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'

const seed = '750b6cd5-c4ae-4012-a15e-7be3c29e6a47'
const root = '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709'
const xbootldr = 'BC13C2FF-59E6-4262-A352-B275FD6F7172'

/** Number, first sector and length of each partition, as sfdisk has them. */
const places = (path: string) =>
  [...run('sfdisk', '--dump', path).matchAll(/(\d+) : start= *(\d+), size= *(\d+)/g)].map((found) =>
    found.slice(1).map(Number),
  )

function table(path: string, size: number, ...lines: string[]): void {
  emptyFile(path, size)
  writeFileSync(`${path}.script`, ['label: gpt', ...lines, ''].join('\n'))
  run('sh', '-c', `sfdisk --quiet '${path}' < '${path}.script'`)
}

// Of an odd number of grains, output_order gives the last one to the other partition than 252 does, and we.
test('TEST-58 output_order and distribute_leftover_space: who gets which space, and which number', async () => {
  const cases: {
    size: number
    there?: string[]
    definitions: Record<string, string[]>
    expected: number[][]
  }[] = [
    {
      size: 80,
      there: [`size=10M, type=${root}`, `size=5M, type=${xbootldr}`, `start=30M, size=10M, type=${typeUuids.esp}`],
      definitions: {
        '01-home': ['Type=home', 'SizeMinBytes=20971520'],
        '02-swap': ['Type=swap'],
        '03-esp': ['Type=esp'],
        '04-root': ['Type=root-x86-64'],
      },
      expected: [
        [1, 2048, 20480],
        [2, 22528, 10240],
        [3, 61440, 51184],
        [4, 32768, 28672],
        [5, 112624, 51176],
      ],
    },
    {
      size: 20,
      definitions: {
        '01-esp': ['Type=esp', 'Weight=1', 'SizeMinBytes=5M'],
        '02-usr': ['Type=usr', 'Weight=1000', 'SizeMinBytes=1M', 'SizeMaxBytes=2M'],
      },
      expected: [
        [1, 2048, 34776],
        [2, 36824, 4096],
      ],
    },
  ]
  using folder = temporaryFolder()
  for (const [index, { size, there = [], definitions, expected }] of cases.entries()) {
    const disk = join(folder.path, `${index}.raw`)
    if (there.length > 0) table(disk, size * MiB, ...there)
    else emptyFile(disk, size * MiB)
    mkdirSync(join(folder.path, String(index)))
    const from = defineImage(join(folder.path, String(index)), definitions)
    await partitionDisk(from, disk, { seed, root: folder.path, architecture: 'x86-64', empty: 'allow' })
    assert.deepEqual(places(disk), expected)
  }
})

test('TEST-58 get_size: a dry run says how large an image is, and makes none', async () => {
  using folder = temporaryFolder()
  const from = defineImage(folder.path, {
    a: ['Type=root', 'SizeMinBytes=15M'],
    b: ['Type=linux-generic', 'SizeMinBytes=23M'],
  })
  const { size } = await buildImage(from, join(folder.path, 'none'), { root: folder.path, dryRun: true })
  assert.equal(Math.floor(size / MiB), 39)
})

test('TEST-58 encrypted_volume_empty_name: the volume is named after its UUID', async () => {
  using folder = temporaryFolder()
  const from = defineImage(folder.path, {
    root: ['Type=linux-generic', 'Format=ext4', 'Encrypt=key-file', 'EncryptedVolume=:none:discard'],
  })
  // What is deferred is in the tables, too.
  await buildImage(from, join(folder.path, 'image.raw'), {
    ...{ root: folder.path, crypttab: '/crypttab', defer: ['linux-generic'] },
  })
  assert.match(readFileSync(join(folder.path, 'crypttab'), 'utf8'), /^luks-([0-9a-f-]{36}) UUID=\1 none discard$/m)
})

test('FAT has the sectors of its disk, or those of FileSystemSectorSize=', async () => {
  using folder = temporaryFolder()
  const from = defineImage(folder.path, {
    '1': ['Type=esp', 'Format=vfat', 'CopyFiles=/own:/', 'SizeMinBytes=20M', 'SplitName=disk'],
    '2': [
      'Type=xbootldr',
      'Format=vfat',
      'FileSystemSectorSize=512',
      'CopyFiles=/own:/',
      'Minimize=yes',
      'SplitName=own',
    ],
  })
  run('sh', '-c', `mkdir '${folder.path}/own' && echo text > '${folder.path}/own/file'`)
  const { partitions } = await buildImage(from, join(folder.path, 'image.raw'), {
    ...{ root: folder.path, sectorSize: 4096, split: true, seed },
  })
  const widths = [16, 12]
  for (const [index, sectorSize] of [4096, 512].entries()) {
    const path = partitions[index]!.splitPath!
    assert.equal(readFileSync(path).readUInt16LE(11), sectorSize)
    assert.match(run('fsck.vfat', '-n', '-v', path), new RegExp(`2 FATs, ${widths[index]} bit entries`))
    assert.equal(run('mtype', '-i', path, '::/file'), 'text\n')
  }
})

test('TEST-58 luks2_keyhash, and Discard=no of basic: crypttab names the key, and the header passes discards on', async () => {
  using folder = temporaryFolder()
  const key = join(folder.path, 'key')
  writeFileSync(key, 'secret')
  const encrypted = ['Format=ext4', 'Encrypt=key-file', 'SizeMinBytes=24M', 'SizeMaxBytes=24M', 'MountPoint=/x']
  const from = defineImage(folder.path, {
    '1': ['Type=linux-generic', ...encrypted, 'EncryptKDF=minimal', 'EncryptedVolume=vo\\lume:::fixate-volume-key'],
    '2': ['Type=var', ...encrypted, 'EncryptKDF=pbkdf2', 'Discard=no', 'EncryptedVolume=::noauto:fixate-volume-key'],
  })
  const output = join(folder.path, 'image.raw')
  const options = { root: folder.path, keyFile: key, seed, fstab: '/fstab', crypttab: '/crypttab' }
  const { partitions } = await buildImage(from, output, { ...options, split: true })
  const crypttab = readFileSync(join(folder.path, 'crypttab'), 'utf8').split('\n').slice(1, -1)
  const expected = [
    { kdf: 'pbkdf2', iterations: 1000, flags: 'allow-discards', name: 'vo\\lume', escaped: 'vo\\x5clume', options: '' },
    { kdf: 'pbkdf2', iterations: 1_000_000, flags: '(no flags)', name: '', escaped: '', options: 'noauto,' },
  ]
  for (const [index, { kdf, iterations, flags, name, escaped, options }] of expected.entries()) {
    const path = partitions[index]!.splitPath!
    const dump = run('cryptsetup', 'luksDump', path)
    const [uuid] = /(?<=^UUID:\s+)\S+/m.exec(dump)!
    assert.match(dump, new RegExp(`^Flags:\\s+${flags.replace(/[()]/g, '\\$&')}\\s*$`, 'm'))
    assert.match(dump, new RegExp(`PBKDF: +${kdf}\\n.*Hash: +sha512\\n.*Iterations: ${iterations}\\n`))
    const volumeKey = `${path}.volume`
    run(
      'cryptsetup',
      'luksDump',
      '-q',
      '--dump-volume-key',
      `--volume-key-file=${volumeKey}`,
      `--key-file=${key}`,
      path,
    )
    writeFileSync(`${path}.said`, `cryptsetup:${escaped || `luks-${uuid}`}:${uuid}`)
    const hexadecimal = readFileSync(volumeKey).toString('hex')
    const mac = run(
      'openssl',
      'mac',
      '-digest',
      'SHA256',
      '-macopt',
      `hexkey:${hexadecimal}`,
      '-in',
      `${path}.said`,
      'HMAC',
    )
    const shown = `${options}fixate-volume-key=${mac.trim().toLowerCase()}`
    assert.equal(crypttab[index], `${name || `luks-${uuid}`} UUID=${uuid} - ${shown}`)
  }
  assert.match(readFileSync(join(folder.path, 'fstab'), 'utf8'), / discard,rw.*\n.* \/x ext4 rw,nodev/)
  await assert.rejects(buildImage(from, `${output}.2`, { ...options, defer: ['var'] }), { message: /not made yet/ })
  await assert.rejects(partitionDisk(from, output, options), { message: /is there already/ })
})

test('TEST-58 random_seed: no seed, or a random one, makes other UUIDs each time', async () => {
  using folder = temporaryFolder()
  const from = defineImage(folder.path, { a: ['Type=root', 'SizeMinBytes=1M'] })
  const uuids = (...seeds: readonly string[]) => {
    const { status, stdout, stderr } = cli(
      'build',
      `--definitions=${from}`,
      '--dry-run',
      '--json=short',
      '-o',
      'none',
      ...seeds,
    )
    assert.equal(status, 0, stderr)
    return JSON.parse(stdout).partitions[0].uuid
  }
  const made = [uuids(), uuids(), uuids('--seed=random'), uuids('--seed=random'), uuids(`--seed=${seed}`)]
  assert.equal(new Set(made).size, made.length)
  assert.equal(uuids(`--seed=${seed}`), made.at(-1))
})

test('a UUID is that of one partition, but for the one of all zeroes', async () => {
  using folder = temporaryFolder()
  const empty = ['Type=usr', 'Format=empty', 'UUID=null', 'SizeMaxBytes=10M']
  const reserved = defineImage(folder.path, { '1': empty, '2': empty, '3': empty })
  const output = join(folder.path, 'image.raw')
  await buildImage(reserved, output, { root: folder.path })
  await using image = await openImage(output)
  assert.deepEqual(image.table.problems, [])
  assert.equal(image.volumes.length, 3)
  mkdirSync(join(folder.path, 'twins'))
  const one = ['Type=usr', `UUID=${seed}`, 'SizeMaxBytes=10M']
  const twins = defineImage(join(folder.path, 'twins'), { '1': one, '2': one })
  await assert.rejects(buildImage(twins, `${output}.2`, { root: folder.path }), {
    ...{ code: 'ERR_DDI_DEFINITION', message: /2\.conf: UUID=750b6cd5-\S+ is that of another partition$/ },
  })
})
