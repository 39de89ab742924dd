import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import fc from 'fast-check'
import { memorySource } from '../../lib/bytes/memory.js'
import { DdiError } from '../../lib/errors.js'
import { parsePe } from '../../lib/uki/pe.js'
import { appendSections, type NewSection, peChecksum } from '../../lib/uki/pe-sections.js'
import { makeIdentity } from '../support/keys.js'
import { attempt, run, temporaryFolder } from '../support/run.js'

const stubPath = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub'
const stub = readFileSync(stubPath)

/** A program with these sections added, its checksum set. */
async function programWith(sections: readonly NewSection[]): Promise<Buffer> {
  const program = appendSections(stub, sections, 'stub')
  const bytes = Buffer.from(await program.read(0, program.size))
  const checksum = await peChecksum(memorySource(bytes), 'stub')
  bytes.set(checksum.bytes, checksum.at)
  return bytes
}

interface Listed {
  readonly name: string
  readonly size: number
  readonly address: number
  readonly offset: number
}

function objdump(path: string): Listed[] {
  const lines = run('objdump', '--wide', '--section-headers', path).split('\n')
  return lines.flatMap((line) => {
    const [, name, size, address, offset] =
      /^\s*\d+\s+(\S+)\s+([0-9a-f]+)\s+([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)/.exec(line) ?? []
    const hex = (text: string | undefined) => Number.parseInt(text!, 16)
    return name === undefined ? [] : [{ name, size: hex(size), address: hex(address), offset: hex(offset) }]
  })
}

/** A field of the optional header as objdump prints it. */
function field(path: string, name: string): number {
  return Number.parseInt(new RegExp(`^${name}\\s+([0-9a-f]+)`, 'm').exec(run('objdump', '-p', path))![1]!, 16)
}

const names = ['.osrel', '.cmdline', '.uname', '.splash', '.dtb', '.initrd', '.linux']

test('objdump and objcopy find the sections and their bytes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { maxLength: names.length }),
      async (contents) => {
        using folder = temporaryFolder()
        const path = join(folder.path, 'a.efi')
        const sections = contents.map((bytes, index) => ({ name: names[index]!, content: memorySource(bytes) }))
        const bytes = await programWith(sections)
        writeFileSync(path, bytes)
        const listed = objdump(path)
        assert.deepEqual(
          listed.map(({ name }) => name),
          [...objdump(stubPath).map(({ name }) => name), ...sections.map(({ name }) => name)],
        )
        const added = listed.slice(listed.length - sections.length)
        for (const [index, { name, size, offset }] of added.entries()) {
          assert.deepEqual(Uint8Array.from(bytes.subarray(offset, offset + contents[index]!.length)), contents[index])
          assert.ok(size >= contents[index]!.length)
          const dump = join(folder.path, 'section')
          run('objcopy', '--dump-section', `${name}=${dump}`, path, join(folder.path, 'copy'))
          assert.deepEqual(Uint8Array.from(readFileSync(dump).subarray(0, contents[index]!.length)), contents[index])
        }
        // What each of them holds in memory is free of all others.
        for (const [index, one] of listed.entries())
          for (const other of listed.slice(0, index)) assert.ok(other.address + other.size <= one.address)
        const last = listed.at(-1)!
        assert.ok(field(path, 'SizeOfImage') >= last.address + last.size)
      },
    ),
    { numRuns: 30 },
  )
})

test('the headers are those that objcopy makes of the same sections', async () => {
  using folder = temporaryFolder()
  const [ours, theirs, text] = [join(folder.path, 'a'), join(folder.path, 'b'), join(folder.path, 'text')]
  writeFileSync(text, 'quiet'.repeat(200))
  const bytes = await programWith([{ name: '.cmdline', content: memorySource(readFileSync(text)) }])
  writeFileSync(ours, bytes)
  const at = parsePe(bytes, bytes.length, ours).sections.at(-1)!.virtualAddress
  run(
    'objcopy',
    `--add-section=.cmdline=${text}`,
    `--change-section-vma=.cmdline=0x${at.toString(16)}`,
    stubPath,
    theirs,
  )
  for (const name of ['SizeOfImage', 'SizeOfHeaders', 'SizeOfInitializedData', 'SizeOfCode', 'AddressOfEntryPoint'])
    assert.equal(field(ours, name), field(theirs, name), name)
})

test('sbverify takes it as it is, and signed', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'a.efi')
  writeFileSync(
    path,
    await programWith([{ name: '.linux', content: memorySource(Buffer.alloc(5000, 7)), isCode: true }]),
  )
  const list = attempt('sbverify', '--list', path)
  assert.doesNotMatch(list.stderr, /warning/i)
  const { key, certificate } = makeIdentity(folder.path, 'owner')
  const signed = join(folder.path, 'signed.efi')
  assert.doesNotMatch(
    attempt('sbsign', '--key', key, '--cert', certificate, '--output', signed, path).stderr,
    /warning/i,
  )
  run('sbverify', '--cert', certificate, signed)
  const bytes = readFileSync(signed)
  assert.ok(parsePe(bytes, bytes.length, signed).signature)
  assert.throws(() => appendSections(bytes, [], 'signed.efi'), { code: 'ERR_DDI_PE_FORMAT', message: /signed/ })
  // Its own checksum is right if setting it again changes nothing.
  const plain = Buffer.from(bytes)
  const { at, bytes: sum } = await peChecksum(memorySource(withoutChecksum(plain)), signed)
  assert.deepEqual(plain.subarray(at, at + 4), withChecksum(plain, at, sum).subarray(at, at + 4))
})

function withoutChecksum(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt32LE(0, copy.readUInt32LE(60) + 24 + 64)
  return copy
}

function withChecksum(bytes: Buffer, at: number, sum: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy.set(sum, at)
  return copy
}

test('the checksum of the stub is the one that it came with', async () => {
  const { at, bytes } = await peChecksum(memorySource(withoutChecksum(stub)), 'stub')
  assert.deepEqual(bytes, stub.subarray(at, at + 4))
})

test('a section takes the place of one with its name', async () => {
  const bytes = await programWith([{ name: '.sbat', content: memorySource(Buffer.from('sbat,1')) }])
  const sections = parsePe(bytes, bytes.length, 'stub').sections.filter(({ name }) => name === '.sbat')
  assert.equal(sections.length, 1)
  assert.equal(bytes.toString('latin1', sections[0]!.raw.start, sections[0]!.raw.start + 6), 'sbat,1')
})

const sectionTable = stub.readUInt32LE(60) + 24 + stub.readUInt16LE(stub.readUInt32LE(60) + 20)

function changed(at: number, value: number): Buffer {
  const copy = Buffer.from(stub)
  copy.writeUInt32LE(value, at)
  return copy
}

test('what is no program, or a malformed one, is refused', () => {
  const refused = (bytes: Uint8Array, code: string, message: RegExp) =>
    assert.throws(() => parsePe(bytes, bytes.length, 'x.efi'), { code, message })
  refused(Buffer.from('#!/bin/sh\n'.repeat(20)), 'ERR_DDI_PE_FORMAT', /no MZ header/)
  refused(changed(60, stub.length - 8), 'ERR_DDI_PE_FORMAT', /no PE header/)
  refused(stub.subarray(0, 0x8000), 'ERR_DDI_PE_FORMAT', /truncated: its section \.text/)
  refused(stub.subarray(0, sectionTable + 50), 'ERR_DDI_PE_FORMAT', /truncated/)
  const second = sectionTable + 40
  refused(changed(second + 12, 0x4010), 'ERR_DDI_PE_OVERLAP', /\.text and \.reloc overlap in memory/)
  refused(changed(second + 20, 0x500), 'ERR_DDI_PE_OVERLAP', /\.text and \.reloc overlap in the file/)
})

test('a stub without room for the headers of more sections is refused', () => {
  const sections = Array.from({ length: 8 }, (_, index) => ({
    name: `.s${index}`,
    content: memorySource(Buffer.of(1)),
  }))
  assert.throws(() => appendSections(stub, sections, stubPath), {
    code: 'ERR_DDI_PE_FULL',
    message: /room for 15 sections, not for 16/,
  })
})

test('hostile bytes are refused, and nothing else happens', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: sectionTable + 8 * 40 - 1 }),
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      (at, bytes) => {
        const copy = Buffer.from(stub)
        copy.set(bytes.subarray(0, copy.length - at), at)
        try {
          parsePe(copy, copy.length, 'x.efi')
        } catch (error) {
          assert.ok(error instanceof DdiError, String(error))
        }
      },
    ),
    { numRuns: 2000 },
  )
})
