// Lines of mountinfo as proc_pid_mountinfo(5) has them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mountPoints, parseMounts } from '../../../lib/kernel/mounts.js'
import { run } from '../../support/run.js'

test('a line with any number of optional fields, and names with spaces, backslashes and hyphens', () => {
  const lines = [
    '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue',
    '37 36 0:24 / /a\\040b\\134c rw shared:2 master:3 propagate_from:4 - tmpfs a\\040source rw',
    '38 36 254:1 / /- ro - erofs /dev/mapper/ddi-a-root ro',
  ]
  assert.deepEqual(parseMounts(`${lines.join('\n')}\n`), [
    { id: 36, parent: 35, device: '98:0', path: '/mnt2', type: 'ext3', source: '/dev/root' },
    { id: 37, parent: 36, device: '0:24', path: '/a b\\c', type: 'tmpfs', source: 'a source' },
    { id: 38, parent: 36, device: '254:1', path: '/-', type: 'erofs', source: '/dev/mapper/ddi-a-root' },
  ])
  assert.deepEqual(parseMounts(''), [])
})

test('the mounts of this machine are those of findmnt', async () => {
  const points = await mountPoints()
  const [path = '', device = ''] = run('findmnt', '--noheadings', '--raw', '--output=TARGET,MAJ:MIN', '/proc').split(
    /\s/,
  )
  assert.equal(points.get(device), path)
})
