// Whole boots in user-mode-linux: from the kernel to the root's own init, or to what is done after a failure.
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { initDisk, readStore } from '../../../lib/index.js'
import { emptyFile, MiB } from '../../support/images.js'
import { cliPath, run, temporaryFolder } from '../../support/run.js'
import { addToInitrd } from './archive.js'
import { bootCases } from './cases.js'
import { type AddressService, makeNetwork, server } from './network.js'
import { downloadsIn, rehearse, rehearsed } from './rehearsals.js'
import { rootIsUp } from './roots.js'
import { damageTree, hangs, makeFragmentedStore, makeIdleRoot, makeStoreRoots, readBySgdisk } from './stores.js'
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
async function boot(
  service: AddressService,
  parameters: readonly string[],
  network = trial.network,
  disk?: UmlOptions['disk'],
): Promise<string> {
  await network.addresses(service)
  const { initrd } = trial
  await using machine = bootUml(network, { initrd, parameters: ['rdinit=/init', ...parameters], ...(disk && { disk }) })
  return (await machine.off(300)).text
}

/** Boots a machine that nobody tells an address. */
async function bootFrom(disk: UmlOptions['disk'], parameters: readonly string[]): Promise<string> {
  return await boot({ kind: 'none' }, parameters, trial.network, disk)
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

test('a shell on the console before the hand-over, and the boot goes on when it is left', async () => {
  const { network, initrd } = trial
  await network.addresses(dhcp)
  await using machine = bootUml(network, { initrd, parameters: ['rdinit=/init', 'ip=dhcp', origin, image, 'rd.break'] })
  await machine.console.line(/rd\.break: before hand-over; a shell on the console/)
  machine.type('echo "the shell is $((6 * 7))"; grep -c sysroot /proc/mounts; exit\n')
  const { text } = await machine.off(120)
  assert.match(text, /the shell is 42\r?\n1\r?\n.*root is up after/s)
  assert.match(text, rootIsUp)
})

test('an error or a rejection that nobody foresaw, in process 1: told with its stack, and the machine ends as it was told', async () => {
  const faults = {
    // As soon as it is heard, before anything is mounted.
    error: `once(() => process.listenerCount('uncaughtException') > 0, () => { throw new Error('nobody foresaw this') })`,
    // Amid a download; what the log has then is told, too.
    rejection: `once(() => log().includes('pulling'), () => { Promise.reject(new Error('nobody foresaw this')) })
      once(() => log().includes('boots nothing'), () => {
        appendFileSync('/dev/console', log().replaceAll(/^/gm, 'log: '))
        execFileSync('/bin/busybox', ['poweroff', '-f'])
      })`,
  }
  const prelude = `import { execFileSync } from 'node:child_process'
    import { appendFileSync, existsSync, readFileSync } from 'node:fs'
    const log = () => existsSync('/run/ddi/boot.log') ? readFileSync('/run/ddi/boot.log', 'utf8') : ''
    const once = (is, act) => {
      const timer = setInterval(() => {
        if (!is()) return
        clearInterval(timer)
        act()
      }, 1)
    }\n`
  const initrd = join(folder.path, 'faulty.cpio')
  copyFileSync(trial.initrd, initrd)
  const programs = Object.entries(faults).map(([name, fault]) => [`${name}.mjs`, `${prelude}${fault}\n`])
  addToInitrd(initrd, Object.fromEntries(programs))
  await trial.network.addresses(dhcp)
  const boot = async (name: keyof typeof faults, ...words: readonly string[]) => {
    // Nobody listens there, and it is waited for.
    const away = `rd.systemd.pull=raw,machine,verify=no:root:http://${server.ipv4}:81/acme_1.raw`
    // The kernel makes an environment of what it does not know.
    const parameters = ['rdinit=/init', `NODE_OPTIONS=--import=/${name}.mjs`, 'ip=dhcp', away, ...words]
    await using machine = bootUml(trial.network, { initrd, parameters })
    return (await machine.off(120)).text
  }
  const told = [/ddi: FAILED: nobody foresaw this\r?$/m, /ddi: +at .*\/(error|rejection)\.mjs:/, off]
  refused(await boot('error', poweroff), /boots nothing; now: poweroff/, ...told)
  refused(await boot('rejection'), /^log: .*FAILED: nobody foresaw this/m, /^log: .*boots nothing\r?$/m, ...told)
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

test('of ten images in twelve fragments the newest hangs, the next is damaged, and the third works and stays', async (t) => {
  const path = join(folder.path, 'ten.raw')
  const roots = makeStoreRoots(folder.path, trial.vendor.identity)
  await makeFragmentedStore(path, (version) => (version === 10 ? roots.hangs : roots.works))
  assert.equal(readBySgdisk(path).fragments, 12)
  await damageTree(path, 'acme_9')
  const bits = (...changed: readonly (readonly [string, string])[]) => ({
    ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8].map((version) => [`acme_${version}`, '1028000000000000'])),
    // These two have extensions.
    ...{ acme_9: '1428000000000000', acme_10: '1428000000000000' },
    ...Object.fromEntries(changed),
  })
  const product = ['ddi.product=acme']
  for (const tried of ['1418000000000000', '1408000000000000']) {
    assert.match(await bootFrom({ path }, product), hangs)
    assert.deepEqual(readBySgdisk(path).attributes, bits(['acme_10', tried]))
  }
  const bad = [['acme_9', '1408000000000000'] as const, ['acme_10', '1408000000000000'] as const]
  await t.test('without a boot in between', async () => {
    const text = await bootFrom({ path }, product)
    assert.match(text, /refused acme_9 on \/dev\/ubda: .*ERR_DDI_/)
    assert.match(text, /^\/dev\/mapper\/\S+ \/ erofs ro,/m)
    // As the command says on the machine itself.
    assert.match(text, /^acme_8: good$/m)
    assert.match(text, /^acme_8 +good +.* yes +/m)
    assert.deepEqual(readBySgdisk(path).attributes, bits(...bad, ['acme_8', '1108000000000000']))
    const order = run(process.execPath, cliPath, 'store', 'boot-order', path).match(/acme_\d+/g)
    assert.deepEqual(order, ['acme_8', 'acme_7', 'acme_6', 'acme_5', 'acme_4', 'acme_3', 'acme_2', 'acme_1'])
  })
  await t.test('from a disk that cannot be written only the good one boots, whatever is preferred', async () => {
    run(process.execPath, cliPath, 'store', 'prefer', path, 'acme_7')
    const text = await bootFrom({ path, readOnly: true }, product)
    assert.match(text, /passed over acme_7: its boot cannot be counted on \/dev\/ubda/)
    assert.match(text, /^acme_8 +good +.* yes +/m)
    const preferred = ['acme_7', '102F000000000000'] as const
    assert.deepEqual(readBySgdisk(path).attributes, bits(...bad, preferred, ['acme_8', '1108000000000000']))
  })
})

test('a store without an image that boots is filled from where the machine booted from, and needs no server then', async () => {
  const path = emptyFile(join(folder.path, 'idle-store.raw'), 64 * MiB)
  await (await initDisk(path)).close()
  const { uuid } = await readStore(path)
  const idle = makeIdleRoot(folder.path, trial.vendor.identity)
  run(process.execPath, cliPath, 'store', 'install', path, idle, '--product=acme', '--version=0')
  const parameters = ['ip=dhcp', origin, image, 'ddi.product=acme', `ddi.store=${uuid}`]
  const text = await boot(dhcp, parameters, trial.network, { path })
  assert.match(text, /refused acme_0 on \/dev\/ubda: .*ERR_DDI_NOT_FOUND/)
  assert.match(text, /installed: acme_1 on \/dev\/ubda/)
  assert.match(text, rootIsUp)
  const acme_0 = '1008000000000000'
  assert.deepEqual(readBySgdisk(path).attributes, { acme_0, acme_1: '1028000000000000' })
  const { length } = trial.network.requests
  assert.match(await bootFrom({ path }, parameters), rootIsUp)
  assert.deepEqual(readBySgdisk(path).attributes, { acme_0, acme_1: '1018000000000000' })
  assert.equal(trial.network.requests.length, length)
})
