import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadOptionPath, networkPath, parseDevicePath } from '../../lib/boot/device-path.js'
import { writeLease6 } from '../../lib/boot/lease.js'
import { bootFilesIn } from '../../lib/boot/leases.js'
import { besideOrigin, DdiError, findBootOrigin } from '../../lib/index.js'
import { cli, temporaryFolder } from '../support/run.js'

const loader = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f'
const global = '8be4df61-93ca-11d2-aa0d-00e098032b8c'

/** A node as UEFI 2.10, section 10.3 has it. */
function node(type: number, subType: number, data: Uint8Array): Buffer {
  const header = Buffer.from([type, subType, 0, 0])
  header.writeUInt16LE(4 + data.length, 2)
  return Buffer.concat([header, data])
}

const end = node(0x7f, 0xff, Buffer.alloc(0))

/** What firmware makes of `PciRoot(0x0)/Pci(0x3,0x0)/MAC(525400123456,0x1)/IPv4(0.0.0.0)/Uri(…)`. */
function httpBootPath(uri: string): Buffer {
  const mac = Buffer.concat([Buffer.from('525400123456', 'hex'), Buffer.alloc(26), Buffer.from([1])])
  return Buffer.concat([
    node(2, 1, Buffer.from('d041030a00000000', 'hex')),
    node(1, 1, Buffer.from([0, 3])),
    node(3, 11, mac),
    node(3, 12, Buffer.alloc(23)),
    node(3, 24, Buffer.from(uri)),
    end,
  ])
}

function loadOption(description: string, path: Buffer): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt32LE(1)
  head.writeUInt16LE(path.length, 4)
  return Buffer.concat([head, Buffer.from(`${description}\0`, 'utf16le'), path, Buffer.from('optional data')])
}

test('the network of a device path and of a boot entry: card, protocol, and the last URI', () => {
  const path = httpBootPath('http://boot.example/os/linux.efi')
  const network = { mac: '52:54:00:12:34:56', protocol: 4, uri: 'http://boot.example/os/linux.efi' }
  assert.deepEqual(networkPath(parseDevicePath(path)), network)
  assert.deepEqual(networkPath(loadOptionPath(loadOption('UEFI HTTPv4 (MAC:525400123456)', path))), network)
  const file = node(4, 4, Buffer.from('\\EFI', 'utf16le'))
  assert.equal(networkPath(parseDevicePath(Buffer.concat([file, end]))), undefined)
  assert.deepEqual(networkPath(parseDevicePath(httpBootPath(''))), { ...network, uri: null })
})

test('any bytes from firmware are parsed or refused', () => {
  const path = httpBootPath('http://boot.example/os/linux.efi')
  const readers = [parseDevicePath, loadOptionPath]
  const check = (bytes: Uint8Array) => {
    for (const read of readers) {
      try {
        for (const { data } of read(bytes)) assert.ok(data.byteOffset + data.length <= bytes.byteOffset + bytes.length)
      } catch (error) {
        assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_DEVICE_PATH', String(error))
      }
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 5000 })
  const whole = loadOption('entry', path)
  for (const good of [path, whole]) {
    for (let length = 0; length < good.length; length++) check(good.subarray(0, length))
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
        const bytes = Buffer.from(good)
        bytes[at] = value
        check(bytes)
      }),
      { numRuns: 5000 },
    )
  }
  for (let length = 0; length < path.length; length++)
    assert.throws(() => parseDevicePath(path.subarray(0, length)), { code: 'ERR_DDI_DEVICE_PATH' })
})

/** A root directory with what firmware, kernel and DHCP clients leave. */
function machine(folder: string) {
  const put = (path: string, content: Uint8Array | string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  const variable = (name: string, vendor: string, value: Buffer, attributes = 6) =>
    put(`sys/firmware/efi/efivars/${name}-${vendor}`, Buffer.concat([Buffer.from([attributes, 0, 0, 0]), value]))
  return {
    put,
    text: (name: string, value: string, attributes?: number) =>
      variable(name, loader, Buffer.from(`${value}\0`, 'utf16le'), attributes),
    bootedFrom(option: Buffer) {
      variable('BootCurrent', global, Buffer.from([0x1a, 0]))
      variable('Boot001A', global, option)
    },
    find: () => findBootOrigin({ root: folder }),
  }
}

test('ddi.url= comes first, then the stub, the loader, and the boot entry', async () => {
  using folder = temporaryFolder()
  const { put, text, bootedFrom, find } = machine(folder.path)
  assert.equal(await find(), undefined)
  bootedFrom(Buffer.from('short'))
  assert.equal(await find(), undefined)
  bootedFrom(loadOption('HTTP', httpBootPath('http://entry.example/linux.efi')))
  assert.deepEqual(await find(), { url: 'http://entry.example/linux.efi', source: 'BootCurrent' })
  text('LoaderDeviceURL', 'http://loader.example/linux.efi')
  assert.deepEqual(await find(), { url: 'http://loader.example/linux.efi', source: 'LoaderDeviceURL' })
  for (const odd of [
    'not a URL',
    'http://stub.example/\u{1b}[2J',
    Buffer.from('http://stub.example').toString('utf16le'),
    `http://stub.example/${'x'.repeat(5000)}`,
  ]) {
    text('StubDeviceURL', odd)
    assert.equal((await find())?.source, 'LoaderDeviceURL')
  }
  // Not of this boot: another system can leave what outlives it.
  text('StubDeviceURL', 'http://stub.example/linux.efi', 7)
  assert.equal((await find())?.source, 'LoaderDeviceURL')
  text('StubDeviceURL', 'http://stub.example/linux.efi')
  assert.deepEqual(await find(), { url: 'http://stub.example/linux.efi', source: 'StubDeviceURL' })
  put('proc/cmdline', 'quiet ddi.url=http://old.example/x ddi.url=https://given.example/ipxe/linux.efi\n')
  assert.deepEqual(await find(), { url: 'https://given.example/ipxe/linux.efi', source: 'ddi.url' })
  put('proc/cmdline', 'ddi.url=ftp://given.example/x\n')
  await assert.rejects(find(), { code: 'ERR_DDI_USAGE' })
})

const leaseFile = "DEVICE='eth0'\nfilename='https://lease.example/linux.efi'\n"

test('a lease counts only if the boot entry leaves the URL to it, or the command line asks', async () => {
  using folder = temporaryFolder()
  const { put, bootedFrom, find } = machine(folder.path)
  put('run/net-eth0.conf', leaseFile)
  put('sys/class/net/eth0/address', '52:54:00:12:34:56\n')
  const disk = Buffer.concat([node(4, 1, Buffer.alloc(38)), node(4, 4, Buffer.from('\\EFI\\x.efi\0', 'utf16le')), end])
  const mac = Buffer.concat([Buffer.from('525400123456', 'hex'), Buffer.alloc(26), Buffer.from([1])])
  const overTftp = Buffer.concat([node(3, 11, mac), node(3, 12, Buffer.alloc(23)), end])
  assert.equal(await find(), undefined)
  for (const path of [disk, overTftp, httpBootPath('tftp://entry.example/linux.efi')]) {
    bootedFrom(loadOption('entry', path))
    assert.equal(await find(), undefined)
  }
  bootedFrom(loadOption('UEFI HTTPv4', httpBootPath('')))
  assert.deepEqual(await find(), { url: 'https://lease.example/linux.efi', source: 'lease' })
  bootedFrom(loadOption('disk', disk))
  put('proc/cmdline', 'ddi.url=lease\n')
  assert.deepEqual(await find(), { url: 'https://lease.example/linux.efi', source: 'lease' })
})

test('the boot file of DHCPv6 is found where our client leaves it', async () => {
  using folder = temporaryFolder()
  const { put, find } = machine(folder.path)
  put('proc/cmdline', 'ddi.url=lease\n')
  mkdirSync(join(folder.path, 'run'))
  await writeLease6(folder.path, 'eth0', {
    address: 'fd00::2',
    nameServers: [],
    bootFileUrl: 'http://[fd00::1]/linux.efi',
  })
  assert.deepEqual(await find(), { url: 'http://[fd00::1]/linux.efi', source: 'lease' })
})

test('of several cards, the lease of the one that booted counts', async () => {
  using folder = temporaryFolder()
  const { put, bootedFrom, find } = machine(folder.path)
  put('run/net-eth0.conf', leaseFile)
  put('run/net-eth1.conf', "BOOTFILE='http://right.example/net/it'\\''s.efi'\n")
  put('sys/class/net/eth0/address', '52:54:00:00:00:01\n')
  put('proc/cmdline', 'ddi.url=lease\n')
  await assert.rejects(find(), { code: 'ERR_DDI_NO_BOOT_ORIGIN', message: /lease\.example.*right\.example/ })
  bootedFrom(loadOption('UEFI HTTPv4', httpBootPath('')))
  // No interface has the address: a lease of another one says nothing.
  assert.equal(await find(), undefined)
  put('sys/class/net/eth1/address', '52:54:00:12:34:56\n')
  assert.deepEqual(await find(), { url: "http://right.example/net/it's.efi", source: 'lease' })
})

test('boot files are found as each DHCP client writes them', () => {
  const cases: readonly [string, string | null, 4 | 6, string][] = [
    ["DEVICE='eth0'\nIPV4ADDR='10.0.0.2'\nfilename='http://h/x.efi'\n", 'eth0', 4, 'http://h/x.efi'],
    ['BOOTFILE="http://h/x.efi"\n', null, 4, 'http://h/x.efi'],
    ['ADDRESS=10.0.0.2\nBOOT_FILENAME=http://h/x.efi\n', null, 4, 'http://h/x.efi'],
    ['lease {\n  interface "eth3";\n  filename "http://h/x.efi";\n}\n', 'eth3', 4, 'http://h/x.efi'],
    ['lease {\n  option bootfile-name "http://h/x.efi";\n}\n', null, 4, 'http://h/x.efi'],
    ['lease6 {\n  option dhcp6.bootfile-url "http://[fd00::1]/d/x.efi";\n}\n', null, 6, 'http://[fd00::1]/d/x.efi'],
    ["DEVICE6='eth0'\nBOOTFILE_URL='http://[fd00::1]/x.efi'\n", null, 6, 'http://[fd00::1]/x.efi'],
  ]
  for (const [text, own, protocol, url] of cases)
    assert.deepEqual(bootFilesIn(text, null), [{ interface: own, protocol, text: url }])
  for (const hostile of ["filename='http://h/x' http://evil/y\n", "filename='http://h/x\n", 'filename="http://h/x\n'])
    assert.deepEqual(bootFilesIn(hostile, null), [])
})

test('files beside an origin have its host and directory, and neither its query nor its fragment', () => {
  const beside = (origin: string, remote: string) => besideOrigin(origin, remote).map(String)
  assert.deepEqual(beside('http://h:8080/a/b/linux.efi?x=1#y', 'root.raw.xz'), ['http://h:8080/a/b/root.raw.xz'])
  assert.deepEqual(beside('https://h/os_1.4.efi', ''), [
    'https://h/os_1.4.raw.xz',
    'https://h/os_1.4.raw.zst',
    'https://h/os_1.4.raw.gz',
    'https://h/os_1.4.raw',
  ])
  assert.deepEqual(beside('https://h/os', ''), [
    'https://h/os.raw.xz',
    'https://h/os.raw.zst',
    'https://h/os.raw.gz',
    'https://h/os.raw',
  ])
  assert.deepEqual(
    besideOrigin('https://h/os_1.4.efi', '', 'tar').map(String),
    ['.tar.xz', '.tar.zst', '.tar.gz', '.tar'].map((suffix) => `https://h/os_1.4${suffix}`),
  )
  assert.deepEqual(beside('https://h/', ''), [])
  for (const remote of ['http://evil/x', '//evil/x', 'a?b#c'])
    assert.ok(
      beside('https://h/a/linux.efi', remote).every((url) => url.startsWith('https://h/a/')),
      remote,
    )
})

test('a machine that did not boot from a URL is an error', () => {
  const { status, stderr } = cli('boot-origin')
  assert.equal(status, 1)
  assert.match(stderr, /ERR_DDI_NO_BOOT_ORIGIN/)
})
