import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseNetworkParameters } from '../../lib/boot/network-parameters.js'
import { actionsIn, parseBootParameters, wantsShell } from '../../lib/boot/parameters.js'

test('what is not said has a default, and what is unknown is for others', () => {
  const { text, ...others } = parseBootParameters('BOOT_IMAGE=/vmlinuz quiet root=/dev/sda1 ddi.other=1')
  assert.equal(text, 'BOOT_IMAGE=/vmlinuz quiet root=/dev/sda1 ddi.other=1')
  assert.deepEqual(others, {
    pulls: [],
    rootHash: null,
    usrHash: null,
    imagePolicy: null,
    url: null,
    store: null,
    kexec: 'auto',
    install: null,
    insecure: false,
    volatile: 'no',
    retry: Number.POSITIVE_INFINITY,
    init: null,
    rootFlags: null,
    breakBefore: null,
  })
})

test('each parameter is read, the last of several counts, and quotes protect spaces', () => {
  const text =
    'rd.systemd.pull=raw,machine::http://a/a.raw rd.systemd.pull=raw,sysext::http://a/b.raw roothash=aa roothash=bb ddi.insecure ddi.volatile=overlay ddi.retry=30 init="/sbin/my init" rootflags=noatime rd.break systemd.pull.success_action=reboot'
  const { pulls, rootHash, insecure, volatile, retry, init, rootFlags, breakBefore } = parseBootParameters(text)
  assert.deepEqual(
    { pulls, rootHash, insecure, volatile, retry, init, rootFlags, breakBefore },
    {
      pulls: ['raw,machine::http://a/a.raw', 'raw,sysext::http://a/b.raw'],
      rootHash: 'bb',
      insecure: true,
      volatile: 'overlay',
      retry: 30,
      init: '/sbin/my init',
      rootFlags: 'noatime',
      breakBefore: 'hand-over',
    },
  )
  assert.deepEqual(actionsIn(text), { successAction: 'reboot', failureAction: 'none' })
  assert.equal(parseBootParameters('rd.break=pre-mount').breakBefore, 'mount')
  assert.equal(parseBootParameters('ddi.retry=no').retry, 0)
  assert.deepEqual(['rd.shell', 'ddi.shell=1', 'ddi.shell=no', 'rd.shellx'].map(wantsShell), [true, true, false, false])
  assert.equal(parseBootParameters('ddi.insecure=no').insecure, false)
})

test('a value that does not exist is told, with those that do', () => {
  for (const text of ['ddi.volatile=maybe', 'ddi.retry=soon', 'rd.break=never'])
    assert.throws(
      () => parseBootParameters(text),
      { code: 'ERR_DDI_USAGE', message: /^\S+=\w+ on the kernel command line: it has to be/ },
      text,
    )
  const refused = { code: 'ERR_DDI_USAGE', message: /failure_action=explode .*soft-reboot/ }
  assert.throws(() => actionsIn('rd.systemd.pull.failure_action=explode'), refused)
  for (const text of ['nameserver=dns.example', 'rd.net.timeout.dhcp=x', 'ip=dhpc', 'rd.route=x'])
    assert.throws(() => parseNetworkParameters(text), { code: 'ERR_DDI_USAGE' }, text)
})

test('what a system does in the end is left to its systemd, and an initrd does what comes closest', () => {
  parseBootParameters('systemd.pull.success_action=explode')
  const actionOf = (name: string) => actionsIn(`systemd.pull.success_action=${name}`).successAction
  // ACTION of systemd.unit(5).
  for (const name of ['reboot', 'soft-reboot', 'kexec']) assert.equal(actionOf(name), 'reboot')
  for (const name of ['poweroff', 'exit', 'halt'])
    for (const word of [name, `${name}-force`]) assert.equal(actionOf(word), name === 'halt' ? 'halt' : 'poweroff')
})

test('the card that a boot loader booted from', () => {
  assert.equal(parseNetworkParameters('BOOTIF=01-52-54-00-12-34-AB').bootedMac, '52:54:00:12:34:ab')
  for (const text of ['', 'BOOTIF=52-54-00-12-34-56', 'BOOTIF=20-52-54-00-12-34-56'])
    assert.equal(parseNetworkParameters(text).bootedMac, null)
})

test('which images of which disk boot', () => {
  const uuid = '00000000-0000-4000-8000-00000000000A'
  const storeIn = (text: string) => parseBootParameters(text).store
  const any = { by: 'product' }
  assert.deepEqual(storeIn('ddi.product=acme'), { product: 'acme', disk: any, label: null })
  assert.deepEqual(storeIn('ddi.image=acme_pro_1.2'), { product: 'acme_pro', disk: any, label: 'acme_pro_1.2' })
  const disks = [`ddi.store=${uuid}`, 'ddi.store=/dev/vda', 'ddi.store=auto'].map(
    (text) => storeIn(`ddi.product=acme ${text}`)?.disk,
  )
  assert.deepEqual(disks, [{ by: 'uuid', uuid: uuid.toLowerCase() }, { by: 'path', path: '/dev/vda' }, any])
  for (const text of ['ddi.store=auto', 'ddi.product=a ddi.store=vda', 'ddi.image=acme', 'ddi.product=a ddi.image=b_1'])
    assert.throws(() => storeIn(text), { code: 'ERR_DDI_USAGE' }, text)
  assert.throws(() => storeIn('ddi.product=a/b'), { code: 'ERR_DDI_STORE_NAME' })
})
