import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { DdiError, pull } from '../../lib/index.js'
import { detectCompression, headLength, refuseForeign } from '../../lib/pull/formats.js'
import { makeFragmentedDisk } from '../support/fragments.js'
import { MiB, typeUuids } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { type ServedFile, serve } from '../support/server.js'

const no = { verify: 'no', retries: 0 } as const
const url = new URL('http://h/image.raw')

test('what is packed by something else, or a disk image of another format, is refused by its name, as a file, a volume and a tree', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const raw = Buffer.concat([Buffer.alloc(MiB, 'some text'), randomBytes(1000)])
  writeFileSync(at('raw'), raw)
  const by = (command: string) => {
    run('sh', '-c', `cd '${folder.path}' && ${command} > packed`)
    return readFileSync(at('packed'))
  }
  const starting = (text: string) => Buffer.concat([Buffer.from(text, 'latin1'), raw])
  const footer = Buffer.concat([Buffer.from('conectix'), Buffer.alloc(504, 1)])
  const files: Readonly<Record<string, Buffer>> = {
    lz4: by('lz4 -q -l -c raw'),
    zip: by('rm -f z.zip; zip -q z.zip raw; cat z.zip'),
    'zip ': starting('PK\x05\x06'),
    lzip: starting('LZIP\x01'),
    '7z': starting('7z\xbc\xaf\x27\x1c\0\x04'),
    rar: starting('Rar!\x1a\x07\x01\0'),
    VMDK: starting('KDMV\x01\0\0\0'),
    'VMDK ': starting('# Disk DescriptorFile\nversion=1\n'),
    VHD: starting('conectix\0\0\0\x02'),
    'VHD ': Buffer.concat([raw, footer]),
    VHDX: starting('vhdxfile'),
    VDI: Buffer.concat([
      Buffer.from('<<< Oracle VM VirtualBox Disk Image >>>\n'.padEnd(64, '\0')),
      starting('\x7f\x10\xda\xbe'),
    ]),
  }
  const served: Record<string, ServedFile> = {}
  for (const [name, bytes] of Object.entries(files)) {
    const path = `/${name.replace(' ', '-')}`
    served[`${path}.raw`] = { bytes }
    served[`${path}.raw.gz`] = { bytes: gzipSync(bytes) }
  }
  served['/twice.raw.gz'] = { bytes: gzipSync(gzipSync(raw)) }
  await using server = await serve(served)
  makeFragmentedDisk(at('disk'))
  const table = readFileSync(at('disk')).subarray(0, MiB)
  mkdirSync(at('out'))
  const path = at('out/image')
  const volume = { kind: 'volume', disk: at('disk'), label: 'new', typeUuid: typeUuids.home } as const
  for (const name of Object.keys(files)) {
    const told = (error: DdiError) =>
      error.code === 'ERR_DDI_PULL_FORMAT' && new RegExp(`\\b${name.trim()}\\b`).test(error.message)
    for (const ending of ['.raw', '.raw.gz']) {
      const address = `${server.url}/${name.replace(' ', '-')}${ending}`
      await assert.rejects(pull(address, { kind: 'raw', path }, no), told, address)
      await assert.rejects(pull(address, volume, no), told, address)
    }
    // A tree is what tar takes.
    const code = name === 'VHD ' ? 'ERR_DDI_PULL_ARCHIVE' : 'ERR_DDI_PULL_FORMAT'
    await assert.rejects(pull(`${server.url}/${name.replace(' ', '-')}.raw`, { kind: 'tar', path }, no), { code }, name)
  }
  const twice = { code: 'ERR_DDI_PULL_FORMAT', message: /twice/ }
  await assert.rejects(pull(`${server.url}/twice.raw.gz`, { kind: 'raw', path }, no), twice)
  assert.deepEqual(readdirSync(at('out')), [])
  assert.ok(readFileSync(at('disk')).subarray(0, MiB).equals(table))
})

test('zstd begins with any frame, of pzstd too', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const raw = randomBytes(3 * MiB)
  writeFileSync(at('raw'), raw)
  run('sh', '-c', `cd '${folder.path}' && pzstd -q -p 2 -c raw > pzstd && zstd -q -c raw > zstd`)
  const packed = readFileSync(at('zstd'))
  const skippable = (magic: number) => {
    const frame = Buffer.alloc(12, 'x')
    frame.writeUInt32LE(magic)
    frame.writeUInt32LE(4, 4)
    return frame
  }
  await using server = await serve({
    '/pzstd': { bytes: readFileSync(at('pzstd')) },
    '/first': { bytes: Buffer.concat([skippable(0x184d2a50), packed]) },
    '/last': { bytes: Buffer.concat([packed, skippable(0x184d2a5f)]) },
    '/only': { bytes: skippable(0x184d2a5a) },
  })
  for (const name of ['pzstd', 'first', 'last']) {
    const { compression } = await pull(`${server.url}/${name}`, { kind: 'raw', path: at('out'), replace: true }, no)
    assert.equal(compression, 'zstd', name)
    assert.ok(readFileSync(at('out')).equals(raw), name)
  }
  const target = { kind: 'raw', path: at('none') } as const
  await assert.rejects(pull(`${server.url}/only`, target, no), { code: 'ERR_DDI_IMAGE_EMPTY' })
})

test('dictionaries and windows as large as the caller allows', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const raw = Buffer.concat([randomBytes(MiB), Buffer.alloc(MiB, 'some text')])
  writeFileSync(at('raw'), raw)
  const commands = {
    xz: 'xz --lzma2=preset=0,dict=192MiB -c raw',
    lzma: 'xz --format=lzma --lzma1=preset=0,dict=192MiB -c raw',
    zstd: 'zstd -q -1 --long=28 -c < raw',
    'xz of 128 MiB': 'xz --lzma2=preset=0,dict=128MiB -c raw',
    'lzma of other parameters': 'xz --format=lzma --lzma1=dict=48MiB,lc=1,lp=1,pb=1 -c raw',
    'lz4 in frames':
      'lz4 -q -c raw | head -c 3000000 > one; printf "\\120\\052\\115\\030\\002\\0\\0\\0ab" | cat one - one',
  }
  const target = { kind: 'raw', path: at('out'), replace: true } as const
  for (const [name, command] of Object.entries(commands)) {
    run('sh', '-c', `cd '${folder.path}' && { ${command}; } > packed`)
    const url = `file://${at('packed')}`
    const isLarge = !name.includes(' ')
    if (isLarge) await assert.rejects(pull(url, target, no), { code: 'ERR_DDI_PULL_MEMORY' }, name)
    await pull(url, target, isLarge ? { ...no, maxMemory: 256 * MiB } : no)
    const expected = name === 'lz4 in frames' ? Buffer.concat([raw, raw]) : raw
    assert.ok(readFileSync(at('out')).equals(expected), name)
  }
  // Nothing of what came is lost for want of memory.
  assert.ok(readdirSync(folder.path).every((name) => !name.endsWith('.unpacked')))
  for (const [name, command] of Object.entries({ lz4: 'lz4 -q -c raw', lzma: 'xz --format=lzma -c raw' })) {
    run(
      'sh',
      '-c',
      `cd '${folder.path}' && ${command} > packed && cp packed long && echo more >> long && head -c 1000 packed > short`,
    )
    for (const wrong of ['long', 'short'])
      await assert.rejects(
        pull(`file://${at(wrong)}`, target, no),
        { code: 'ERR_DDI_PULL_COMPRESSION' },
        `${name} ${wrong}`,
      )
  }
})

test('nothing empty becomes an image, a volume or a tree', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const empty = Buffer.alloc(0)
  run('sh', '-c', `cd '${folder.path}' && for t in xz bzip2 zstd; do $t -c < /dev/null > $t; done`)
  mkdirSync(at('nothing'))
  run('tar', '-C', at('nothing'), '-cf', at('dot.tar'), '.')
  run('tar', '-cf', at('none.tar'), '-T', '/dev/null')
  const files: Record<string, ServedFile> = { '/plain': { bytes: empty }, '/gzip': { bytes: gzipSync(empty) } }
  for (const name of ['xz', 'bzip2', 'zstd', 'dot.tar', 'none.tar'])
    files[`/${name}`] = { bytes: readFileSync(at(name)) }
  await using server = await serve({
    ...files,
    '/chunked': (_, response) => void response.writeHead(200).end(),
  })
  makeFragmentedDisk(at('disk'))
  mkdirSync(at('out'))
  const path = at('out/image')
  const volume = { kind: 'volume', disk: at('disk'), label: 'new', typeUuid: typeUuids.home } as const
  for (const name of ['plain', 'chunked', 'gzip', 'xz', 'bzip2', 'zstd']) {
    const address = `${server.url}/${name}`
    await assert.rejects(pull(address, { kind: 'raw', path }, no), { code: 'ERR_DDI_IMAGE_EMPTY' }, name)
    await assert.rejects(pull(address, volume, no), { code: 'ERR_DDI_IMAGE_EMPTY' }, name)
    await assert.rejects(pull(address, { kind: 'tar', path }, no), { code: 'ERR_DDI_PULL_ARCHIVE' }, name)
  }
  for (const name of ['dot.tar', 'none.tar'])
    await assert.rejects(
      pull(`${server.url}/${name}`, { kind: 'tar', path }, no),
      { code: 'ERR_DDI_PULL_ARCHIVE' },
      name,
    )
  assert.deepEqual(readdirSync(at('out')), [])
})

test('what an image begins with is never taken for a packing', () => {
  const signatures = [
    '',
    '\xeb\x63\x90',
    '\x33\xc0\x8e\xd0\xbc',
    'hsqs\x07\0\0\0',
    'LUKS\xba\xbe\0\x02',
    'XFSB\0\0\x10\0',
    '\x3a\xff\x26\xed',
  ]
  for (const text of signatures) {
    const head = Buffer.from(text.padEnd(headLength, '\0'), 'latin1')
    assert.equal(detectCompression(head), 'none')
    refuseForeign(url, head)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: headLength }), (head) => {
      detectCompression(head)
      try {
        refuseForeign(url, head)
      } catch (error) {
        assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_PULL_FORMAT')
      }
    }),
  )
})
