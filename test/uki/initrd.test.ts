import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { buildInitrd } from '../../lib/uki/initrd.js'
import { attempt, temporaryFolder } from '../support/run.js'

const modules = '/usr/lib/uml/modules'
const modulesFrom = join(modules, readdirSync(modules)[0]!)

test('a kernel boots it, and the boot program runs', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'initrd')
  await buildInitrd(path, { modulesFrom })
  const { stdout } = attempt(
    'linux.uml',
    ...[
      'mem=512M',
      `initrd=${path}`,
      'rdinit=/init',
      'con=null',
      'con0=null,fd:1',
      'panic=1',
      'quiet',
      'rd.systemd.pull.failure_action=poweroff',
    ],
  )
  // Nothing is requested here.
  assert.match(stdout, /ddi: FAILED: .*ERR_DDI_NO_ROOT/)
})
