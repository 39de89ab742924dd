import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { cardsToTry } from '../../lib/boot/cards.js'
import { temporaryFolder } from '../support/run.js'

test('the card that the machine booted from is waited for, and tried by itself; without it, all are', async () => {
  using folder = temporaryFolder()
  const plugIn = (name: string, address: string) => {
    const card = join(folder.path, 'sys/class/net', name)
    mkdirSync(join(card, 'device'), { recursive: true })
    writeFileSync(join(card, 'address'), `${address}\n`)
    // What makes it a card comes last.
    writeFileSync(join(card, 'type'), '1\n')
  }
  const wanted = {
    root: folder.path,
    device: null,
    taken: new Set<string>(),
    tried: new Set<string>(),
    signal: undefined,
  }
  assert.deepEqual(await cardsToTry({ ...wanted, mac: null, patience: 0 }), [])
  plugIn('eth1', '52:54:00:00:00:01')
  plugIn('eth2', '52:54:00:00:00:02')
  assert.deepEqual(await cardsToTry({ ...wanted, mac: null, patience: 60_000 }), ['eth1', 'eth2'])
  const mac = '52:54:00:00:00:00'
  assert.deepEqual(await cardsToTry({ ...wanted, mac, patience: 200 }), ['eth1', 'eth2'])
  const late = cardsToTry({ ...wanted, mac, patience: 60_000 })
  setTimeout(() => plugIn('eth0', mac), 200)
  assert.deepEqual(await late, ['eth0'])
  assert.deepEqual(await cardsToTry({ ...wanted, mac, tried: new Set(['eth0']), patience: 0 }), ['eth1', 'eth2'])
  assert.deepEqual(await cardsToTry({ ...wanted, mac, taken: new Set(['eth0', 'eth1']), patience: 0 }), ['eth2'])
  assert.deepEqual(await cardsToTry({ ...wanted, mac, device: 'eth1', patience: 0 }), ['eth1'])
})
