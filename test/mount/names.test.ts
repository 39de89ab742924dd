import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { memoryRoot, mountMark, mountName } from '../../lib/mount/names.js'
import { isPlainName } from '../../lib/text.js'

test('the name of a mounted image ends with the mark of its directory, however long or odd the image’s is', () => {
  const mark = `@${createHash('sha256').update('/mnt').digest('hex').slice(0, 8)}`
  assert.equal(mountMark('/mnt'), mark)
  assert.notEqual(mountMark('/mnt/'), mark)
  assert.equal(mountName('/images/box.raw', '/mnt'), `box${mark}`)
  for (const path of [`/${'x'.repeat(200)}.raw`, '/größe ~ 1.raw', '/.raw', '/-.img']) {
    const name = mountName(path, '/mnt')
    assert.ok(name.endsWith(mark) && name.length <= 40 && isPlainName(name), name)
    assert.equal(memoryRoot(name), `ddi:${name}`)
  }
})
