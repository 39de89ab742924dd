import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadOptionPath, parseDevicePath, uriOf } from '../../lib/boot/device-path.js'
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

test('the URI is the last node of its kind, of a device path and of a boot entry', () => {
  const path = httpBootPath('http://boot.example/os/linux.efi')
  assert.equal(uriOf(parseDevicePath(path)), 'http://boot.example/os/linux.efi')
  assert.equal(
    uriOf(loadOptionPath(loadOption('UEFI HTTPv4 (MAC:525400123456)', path))),
    'http://boot.example/os/linux.efi',
  )
  assert.equal(uriOf(parseDevicePath(Buffer.concat([node(4, 4, Buffer.from('\\EFI', 'utf16le')), end]))), undefined)
  assert.equal(uriOf(parseDevicePath(httpBootPath(''))), undefined)
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

test('the stub takes precedence over the loader, the loader over the boot entry, and that over a lease', async () => {
  using folder = temporaryFolder()
  const root = folder.path
  const put = (path: string, content: Uint8Array | string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  const variable = (name: string, vendor: string, value: Buffer) =>
    put(`sys/firmware/efi/efivars/${name}-${vendor}`, Buffer.concat([Buffer.from([7, 0, 0, 0]), value]))
  const text = (value: string) => Buffer.from(`${value}\0`, 'utf16le')
  const find = () => findBootOrigin({ root })
  assert.equal(await find(), undefined)
  put('run/systemd/netif/leases/2', 'ADDRESS=10.0.2.15\nBOOTFILE=tftp-name\n')
  assert.equal(await find(), undefined)
  put(
    'var/lib/dhcp/dhclient.leases',
    'lease {\n  filename "http://lease.example/old.efi";\n}\nlease {\n  filename "http://lease.example/new.efi";\n}\n',
  )
  assert.deepEqual(await find(), { url: 'http://lease.example/new.efi', source: 'lease' })
  put('run/net-eth0.conf', "DEVICE='eth0'\nfilename='https://klibc.example/linux.efi'\n")
  assert.deepEqual(await find(), { url: 'https://klibc.example/linux.efi', source: 'lease' })
  variable('BootCurrent', global, Buffer.from([0x1a, 0]))
  variable('Boot001A', global, Buffer.from('short'))
  assert.equal((await find())?.source, 'lease')
  variable('Boot001A', global, loadOption('HTTP', httpBootPath('http://entry.example/linux.efi')))
  assert.deepEqual(await find(), { url: 'http://entry.example/linux.efi', source: 'BootCurrent' })
  variable('LoaderDeviceURL', loader, text('http://loader.example/linux.efi'))
  assert.deepEqual(await find(), { url: 'http://loader.example/linux.efi', source: 'LoaderDeviceURL' })
  for (const odd of [
    'not a URL',
    'http://stub.example/\u{1b}[2J',
    Buffer.from('http://stub.example').toString('utf16le'),
  ]) {
    variable('StubDeviceURL', loader, text(odd))
    assert.equal((await find())?.source, 'LoaderDeviceURL')
  }
  variable('StubDeviceURL', loader, text('http://stub.example/linux.efi'))
  assert.deepEqual(await find(), { url: 'http://stub.example/linux.efi', source: 'StubDeviceURL' })
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
