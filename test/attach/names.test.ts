// The marks by which attachments are found again, and their limits in the kernel.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  deviceUuid,
  type LoopMark,
  loopReference,
  parseDeviceUuid,
  parseLoopReference,
} from '../../lib/attach/names.js'

const attachment = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+@=-]{0,39}$/)
/** A label of 36 characters, with what stands under it. */
const node = fc.stringMatching(/^[A-Za-z0-9._+@=]{1,36}(-data|-verity)?$/)
const deviceMark = fc.record(
  {
    kind: fc.constantFrom('linear' as const, 'verity' as const),
    role: fc.constantFrom('volume' as const, 'inner' as const),
    node,
    attachment,
  },
  { noNullPrototype: true },
)
const designator = fc.constantFrom('root', 'usr', 'home', 'xbootldr')
const loopMark: fc.Arbitrary<LoopMark> = fc.oneof(
  fc.record({ role: fc.constantFrom('image' as const, 'beside' as const), attachment }, { noNullPrototype: true }),
  fc.record({ role: fc.constant('volume' as const), attachment, node: designator }, { noNullPrototype: true }),
)

test('UUIDs of devices say what they are, within the kernel’s 128 bytes', () => {
  fc.assert(
    fc.property(deviceMark, (mark) => {
      const uuid = deviceUuid(mark)
      assert.ok(uuid.length <= 128, uuid)
      assert.deepEqual(parseDeviceUuid(uuid), mark)
    }),
  )
})

test('references of loop devices say what they are, within the kernel’s 63 bytes', () => {
  fc.assert(
    fc.property(loopMark, (mark) => {
      const reference = loopReference(mark)
      assert.ok(reference.length <= 63, reference)
      assert.deepEqual(parseLoopReference(reference), mark)
    }),
  )
  const mark = { role: 'volume', attachment: 'a'.repeat(40), node: 'n'.repeat(30) } as const
  assert.throws(() => loopReference(mark), { code: 'ERR_DDI_NAME', message: /12 characters too long/ })
})

test('what others made is not ours', () => {
  for (const uuid of [
    '',
    'DDI-',
    'DDI-verity:root:os',
    'DDI-crypt:volume:root:os',
    'CRYPT-VERITY-0-x',
    'DDI-linear:base:a:b',
  ])
    assert.equal(parseDeviceUuid(uuid), undefined, uuid)
  for (const reference of ['', '/var/disk.raw', 'ddi:', 'ddi:a/b', 'ddi:a:', 'ddi:a:b:c', 'ddi:a/beside:b'])
    assert.equal(parseLoopReference(reference), undefined, reference)
})
