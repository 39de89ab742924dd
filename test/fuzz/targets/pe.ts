import assert from 'node:assert/strict'
import { memorySource } from '../../../lib/bytes/memory.js'
import { parsePe } from '../../../lib/uki/pe.js'
import { appendSections } from '../../../lib/uki/pe-sections.js'
import type { Target } from '../target.js'

/** A program of one section, as small as one can be. */
function program(): Buffer {
  const bytes = Buffer.alloc(0x600)
  bytes.write('MZ', 'latin1')
  bytes.writeUInt32LE(0x80, 60)
  bytes.write('PE\0\0', 0x80, 'latin1')
  bytes.writeUInt16LE(0x8664, 0x84)
  bytes.writeUInt16LE(1, 0x86)
  bytes.writeUInt16LE(240, 0x94)
  const optional = 0x98
  bytes.writeUInt16LE(0x20b, optional)
  for (const [at, value] of [
    [32, 0x200],
    [36, 0x200],
    [56, 0x2000],
    [60, 0x400],
    [108, 16],
  ] as const)
    bytes.writeUInt32LE(value, optional + at)
  const section = optional + 240
  bytes.write('.text', section, 'latin1')
  for (const [at, value] of [
    [8, 0x100],
    [12, 0x1000],
    [16, 0x200],
    [20, 0x400],
  ] as const)
    bytes.writeUInt32LE(value, section + at)
  return bytes
}

export default {
  seeds: [program()],
  words: ['MZ', 'PE\0\0', '.text', '.linux'],
  run(bytes) {
    const pe = parsePe(bytes, bytes.length, 'it')
    for (const { raw } of pe.sections) assert.ok(raw.start + raw.length <= bytes.length)
    if (pe.signature) return
    const content = memorySource(Buffer.from('quiet'))
    const larger = appendSections(bytes, [{ name: '.cmdline', content }], 'it')
    assert.ok(larger.size >= content.size)
  },
} satisfies Target
