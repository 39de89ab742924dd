import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choice } from '../../lib/cli/choice.js'
import type { Parser } from '../../lib/cli/parser.js'
import * as values from '../../lib/cli/values.js'
import { DdiError } from '../../lib/index.js'

function takes<Value>(parse: Parser<Value>, given: Readonly<Record<string, Value>>): void {
  for (const [text, value] of Object.entries(given)) assert.deepEqual(parse(text), value, text)
}

function refuses(parse: Parser<unknown>, ...texts: readonly string[]): void {
  for (const text of texts)
    assert.throws(
      () => parse(text),
      (error) => error instanceof DdiError && error.kind === 'usage',
      text,
    )
}

test('a new file has a name', () => {
  takes(values.newFile, { 'a.raw': 'a.raw', './-': './-' })
  refuses(values.newFile, '-')
})

test('sizes are in bytes, and nothing else is one', () => {
  takes(values.size, {
    '4096': 4096,
    '1.5K': 1536,
    '+2G': 2 ** 31,
    '2GiB': 2 ** 31,
    '2GB': 2e9,
    '1.5kB': 1500,
    '1B': 1,
  })
  refuses(values.size, '', '0', '-1', 'large', '1e3', '0x10', '1 K', '9999P', 'NaN', 'Infinity')
  takes(values.sizeOrZero, { '0': 0, '00': 0, '1K': 1024 })
  refuses(values.sizeOrZero, '', '-0', 'none')
  takes(values.powerOfTwo(512, 4096), { '512': 512, '4K': 4096 })
  refuses(values.powerOfTwo(512, 4096), '256', '8192', '1000', '4095', '0', 'abc')
  takes(values.newSize, { '2G': '2G', '+1G': '+1G', '-1G': '-1G' })
  refuses(values.newSize, '-', '+', '--1G', 'all')
})

test('whole numbers are within their range', () => {
  takes(values.wholeNumber(0, 64), { '0': 0, '64': 64, '007': 7 })
  refuses(values.wholeNumber(1, 64), '0', '65', '-1', '1.0', '1e1', ' 1', 'abc', '', '99999999999999999999')
})

test('words, identifiers and hexadecimal', () => {
  takes(choice('raw', 'tar'), { raw: 'raw', tar: 'tar' })
  refuses(choice('raw', 'tar'), '', 'RAW', 'rawtar', 'toString')
  takes(values.uuid, { '933AC7E1-2EB4-4F13-B844-0E14E2AEF915': '933ac7e1-2eb4-4f13-b844-0e14e2aef915' })
  refuses(values.uuid, '', '1234', '933ac7e12eb44f13b8440e14e2aef915', '933ac7e1-2eb4-4f13-b844-0e14e2aef91g')
  takes(values.slot, { a: 0, _b: 1, B: 1, '1': 1, z: 25 })
  refuses(values.slot, '', '-1', 'ab', '_', '1000')
  takes(values.rootHash, { ['0a'.repeat(32)]: '0a'.repeat(32) })
  refuses(values.rootHash, '', '0a', 'xy'.repeat(32))
  takes(values.hexadecimal, { '-': new Uint8Array(), '': new Uint8Array(), '00fF': Uint8Array.of(0, 255) })
  refuses(values.hexadecimal, '0', 'xyz', '0x00')
  takes(values.label, { '': '', ['x'.repeat(36)]: 'x'.repeat(36) })
  refuses(values.label, 'x'.repeat(37))
  takes(values.verifyMode, { no: 'no', ['AB'.repeat(32)]: { sha256: 'ab'.repeat(32) } })
  refuses(values.verifyMode, '', 'yes', 'ab'.repeat(31))
})

test('values of several parts', () => {
  takes(values.pair('NAME=PATH'), { 'a=b=c': ['a', 'b=c'] })
  refuses(values.pair('NAME=PATH'), '', 'a', '=b', 'a=')
  takes(values.header, { 'X-Key: a: b': ['X-Key', 'a: b'], 'X-Key:': ['X-Key', ''] })
  refuses(values.header, '', 'a b: c', 'a', 'a: b\r\nc: d')
  takes(values.mountOptionsOf, { 'home:noatime': ['home', 'noatime'], 'noatime,ro': ['root', 'noatime,ro'] })
  refuses(values.mountOptionsOf, 'nowhere:ro')
  takes(values.ownerRange, { '0:1000:1': { inside: 0, outside: 1000, count: 1 } })
  refuses(values.ownerRange, '', '0:1000', 'a:b:c', '0:1000:-1')
  takes(values.superGroup, { 'main:1K': { name: 'main', maximumSize: 1024 } })
  refuses(values.superGroup, 'main', ':1K', 'main:1K:2')
  takes(values.superPartition, {
    'a:readonly,updated:0:main': { name: 'a', attributes: { readOnly: true, updated: true }, size: 0, group: 'main' },
    'a:none:4K': { name: 'a', attributes: {}, size: 4096, group: undefined },
  })
  refuses(values.superPartition, 'a:none', 'a:toString:1K', 'a:none:x')
  takes(values.superDevice, {
    'super:1M': { name: 'super', size: 2 ** 20, alignment: undefined, alignmentOffset: undefined },
    'x:1M:4K:0': { name: 'x', size: 2 ** 20, alignment: 4096, alignmentOffset: 0 },
  })
  refuses(values.superDevice, 'super', 'super:0', 'super:1M:4K:0:1')
})
