import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { readRequested } from '../../lib/boot/requested.js'
import { bootIn } from '../support/boot.js'
import { temporaryFolder } from '../support/run.js'

test('whether a server is asked is known before there is a network', async () => {
  using folder = temporaryFolder()
  const requested = async (name: string, line: string, here?: string) => {
    const context = bootIn(join(folder.path, name), line)
    if (here !== undefined) context.put(here, 'image')
    const { origin, asksServer } = await readRequested(context)
    return [typeof origin === 'object' ? origin.source : origin, asksServer]
  }
  const pull = (rest: string) => `rd.systemd.pull=raw,machine,verify=no${rest}`
  const beside = pull(',bootorigin:root:os.raw')
  const url = 'ddi.url=http://h/os.efi'
  assert.deepEqual(await requested('nothing', 'quiet'), [undefined, false])
  assert.deepEqual(await requested('absolute', pull(':root:http://h/os.raw')), [undefined, true])
  assert.deepEqual(await requested('file', pull(':root:file:///os.raw')), [undefined, false])
  assert.deepEqual(await requested('no origin', beside), [undefined, false])
  assert.deepEqual(await requested('origin', `${beside} ${url}`), ['ddi.url', true])
  assert.deepEqual(await requested('lease', `${beside} ddi.url=lease`), ['lease', true])
  // What is here already is not asked for.
  assert.deepEqual(await requested('here', `${beside} ${url}`, 'run/machines/root.raw'), ['ddi.url', false])
  assert.deepEqual(await requested('lease, here', `${beside} ddi.url=lease`, 'run/machines/root.raw'), ['lease', false])
  // Somebody else’s initrd has the lease.
  const lease = "DEVICE='eth0'\nfilename='http://h/os.efi'\n"
  const context = bootIn(join(folder.path, 'known'), `${beside} ddi.url=lease`)
  context.put('run/net-eth0.conf', lease)
  assert.deepEqual((await readRequested(context)).origin, { url: 'http://h/os.efi', source: 'lease' })
})

test('a credential of the machine requests, and one that is left out is told once', async () => {
  using folder = temporaryFolder()
  const set = ['import.pull:raw,machine::http://h/os.raw', 'a:b', 'x/y:no'].map(
    (one) => `systemd.set_credential=${one}`,
  )
  const context = bootIn(folder.path, set.join(' '))
  const { credentials, asksServer } = await readRequested(context)
  assert.deepEqual([[...credentials.keys()], asksServer], [['import.pull', 'a'], true])
  assert.deepEqual(context.said.length, 1)
})
