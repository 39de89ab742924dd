// Whole boots in user-mode-linux: from the kernel to the root's own init, or to what is done after a failure.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { temporaryFolder } from '../../support/run.js'
import { bootCases } from './cases.js'
import { type AddressService, makeNetwork, server } from './network.js'
import { downloadsIn, rehearse, rehearsed } from './rehearsals.js'
import { rootIsUp } from './roots.js'
import { damageTree, hangs, makeFragmentedStore, makeStoreRoots, readBySgdisk } from './stores.js'
import { prepareTrial, type Trial } from './trial.js'
import { bootUml, type UmlOptions } from './user-mode-linux.js'

const origin = `ddi.url=http://${server.ipv4}/acme.efi`
const image = 'rd.systemd.pull=raw,machine,verify=checksum,bootorigin:root:acme_1.raw.xz'
const dhcp: AddressService = { kind: 'dhcpv4' }

const folder = temporaryFolder()
let trial: Trial
before(async () => {
  trial = await prepareTrial(folder.path)
})
after(async () => {
  await trial[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

/** Boots once, to the end. @returns all that was said */
async function boot(service: AddressService, parameters: readonly string[], network = trial.network): Promise<string> {
  await network.addresses(service)
  return await bootFrom(undefined, parameters, network)
}

async function bootFrom(
  disk: UmlOptions['disk'],
  parameters: readonly string[],
  network = trial.network,
): Promise<string> {
  const { initrd } = trial
  await using machine = bootUml(network, { initrd, parameters: ['rdinit=/init', ...parameters], ...(disk && { disk }) })
  return (await machine.off(300)).text
}

/** Nothing was booted, and the console says why. */
function refused(text: string, ...patterns: RegExp[]): void {
  assert.doesNotMatch(text, rootIsUp)
  for (const pattern of patterns) assert.match(text, pattern)
}

const poweroff = 'systemd.pull.failure_action=poweroff'
const off = /reboot: (Power down|System halted)/

// Waiting takes no processor.
suite('at the same time', { concurrency: true }, () => {
  test('a server that is away for 70 seconds, amid a download, is waited for', async () => {
    const own = join(folder.path, 'away')
    mkdirSync(own)
    await using network = await makeNetwork(own, trial.network.www)
    await network.faults({ '/acme_1.raw.xz': { kind: 'cut', after: 1_000_000, times: 1, awayMs: 70_000 } })
    assert.match(await boot(dhcp, [origin, image], network), rootIsUp)
    const ranges = network.requests.filter(({ path }) => path === '/acme_1.raw.xz').map(({ range }) => range)
    assert.deepEqual(ranges, [null, 'bytes=1000000-'])
  })

  test('cases of what a boot does up to the hand-over, in one kernel', async (t) => {
    const cases = bootCases(trial.vendor)
    const { network, initrd } = trial
    await network.addresses(dhcp)
    await network.faults({
      '/cut/acme_1.raw.xz': { kind: 'cut', after: 1_000_000, times: 2, awayMs: 1500 },
      '/page/acme_1.raw.xz': { kind: 'page' },
      '/page/SHA256SUMS': { kind: 'page' },
    })
    const rehearsing = rehearse(initrd, cases)
    await using machine = bootUml(network, { initrd: rehearsing, parameters: ['rdinit=/rehearse'], memory: 512 })
    const { text } = await machine.off(900)
    for (const [name, { end, says, downloadsNothing = false }] of Object.entries(cases)) {
      await t.test(name, () => {
        const said = rehearsed(text, name)
        assert.equal(said.status, end === 'failure' ? 1 : 0, said.text)
        for (const pattern of says) assert.match(said.text, pattern)
        assert.equal(/ is mounted on \/sysroot$/m.test(said.text), end === 'mounted', said.text)
        if (downloadsNothing) assert.deepEqual(downloadsIn(network.requests, name), [])
      })
    }
  })
})

test('from the boot file of a lease to the init of a root that its certificate vouches for, in 320 MB', async () => {
  const bootFile = `http://${server.ipv4}/acme.efi`
  const text = await boot({ ...dhcp, bootFile }, ['ip=dhcp', 'ddi.url=lease', image])
  assert.match(text, rootIsUp)
  assert.match(text, /^\/dev\/mapper\/\S+ \/ erofs ro,/m)
  assert.match(text, /^the log has \d+ lines$/m)
})

test('IPv6 alone, address and boot file by DHCPv6', async () => {
  const bootFile = `http://[${server.ipv6}]/acme.efi`
  assert.match(await boot({ kind: 'dhcpv6', bootFile }, ['ip=dhcp6', 'ddi.url=lease', image]), rootIsUp)
})

test('IPv6 alone, from router advertisements', async () => {
  const parameters = ['ip=auto6', `ddi.url=http://[${server.ipv6}]/acme.efi`, image]
  assert.match(await boot({ kind: 'slaac' }, parameters), rootIsUp)
})

test('an address of its own', async () => {
  const address = `ip=10.99.0.77::${server.ipv4}:255.255.255.0::vec0:none`
  assert.match(await boot({ kind: 'none' }, [address, origin, image]), rootIsUp)
})

test('a boot file that would be a program of the shell is none', async () => {
  const bootFile = `http://${server.ipv4}/$(reboot -f)'"\`reboot -f\`;reboot -f`
  refused(await boot({ ...dhcp, bootFile }, ['ip=dhcp', 'ddi.url=lease', image, poweroff]), /ERR_DDI_NO_ROOT/, off)
})

test('no answer to DHCP: no network, and the machine restarts as it was told', async () => {
  const parameters = ['ip=dhcp', 'rd.net.timeout.dhcp=3', origin, image, 'systemd.pull.failure_action=reboot']
  refused(await boot({ kind: 'none' }, parameters), /ERR_DDI_NETWORK/, /reboot: Restarting system/)
})

test('another image than the pinned one: nothing boots, and the machine is switched off as it was told', async () => {
  const parameters = ['ip=dhcp', origin, image, `roothash=${'0'.repeat(64)}`, poweroff]
  refused(await boot(dhcp, parameters), /ddi: FAILED: .*ERR_DDI_/, off)
})

test('of ten images in twelve fragments the newest hangs, the next is damaged, and the third works and stays', async () => {
  const path = join(folder.path, 'ten.raw')
  const roots = makeStoreRoots(folder.path, trial.vendor.identity)
  await makeFragmentedStore(path, (version) => (version === 10 ? roots.hangs : roots.works))
  assert.equal(readBySgdisk(path).fragments, 12)
  await damageTree(path, 'acme_9')
  const tried = { ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => [`acme_${n}`, '1028000000000000'])) }
  const product = 'ddi.product=acme'
  for (const bits of ['1018000000000000', '1008000000000000']) {
    assert.match(await bootFrom({ path }, [product]), hangs)
    assert.deepEqual(readBySgdisk(path).attributes, { ...tried, acme_10: bits })
  }
  const text = await bootFrom({ path }, [product])
  assert.match(text, /refused acme_9 on \/dev\/ubda: .*ERR_DDI_VERITY_CORRUPT/)
  assert.match(text, /^\/dev\/mapper\/\S+ \/ erofs ro,/m)
  assert.match(text, /^acme_8: good$/m)
  assert.match(text, /^acme_8 +good +.* yes +/m)
  const after = { ...tried, acme_10: '1008000000000000', acme_9: '1008000000000000', acme_8: '1108000000000000' }
  assert.deepEqual(readBySgdisk(path).attributes, after)
})
