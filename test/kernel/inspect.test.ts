// Against systemd-dissect too, which needs a kernel that it can mount and network in.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { emptyFile, MiB, makeTree, typeUuids } from '../support/images.js'
import { attempt, cli, run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft } from './state.js'
import { loopDevice, systemdDissects } from './systemd-dissect.js'

afterEach(assertNothingLeft)

/** What sfdisk, blkid and systemd-dissect say of an image, against `inspect --json`. */
function compareWithPeers(path: string, device: string, sectorSize: number): void {
  const { status, stdout, stderr } = cli('inspect', path, '--json=short')
  assert.equal(status, 0, stderr)
  const inspected = JSON.parse(stdout)
  const sfdisk = JSON.parse(run('sfdisk', '--json', device)).partitiontable
  assert.equal(inspected.sectorSize, sectorSize)
  assert.equal(inspected.table.uuid, sfdisk.id.toLowerCase())
  assert.equal(inspected.volumes.length, sfdisk.partitions.length)
  for (const [index, volume] of inspected.volumes.entries()) {
    const partition = sfdisk.partitions[index]
    assert.equal(volume.typeUuid, partition.type.toLowerCase())
    assert.equal(volume.uuid, partition.uuid.toLowerCase())
    assert.equal(volume.label, partition.name ?? '')
    const [start, length] = [partition.start * sectorSize, partition.size * sectorSize]
    assert.deepEqual(volume.extents, [{ device: null, start, length }])
    const bits = String(partition.attrs ?? '')
    assert.deepEqual(volume.flags, {
      readOnly: /\b60\b/.test(bits),
      noAuto: /\b63\b/.test(bits),
      growFileSystem: /\b59\b/.test(bits),
    })
    const where = ['--offset', String(volume.extents[0].start), '--size', String(volume.size), path]
    const value = (name: string) => attempt('blkid', '-p', '-s', name, '-o', 'value', ...where).stdout.trimEnd() || null
    const type = value('TYPE')
    const blockSize = Number(value('BLOCK_SIZE')) || null
    assert.deepEqual(volume.fileSystem, type && { type, label: value('LABEL'), uuid: value('UUID'), blockSize })
  }
  for (const mount of systemdDissects(device)) {
    const volume = inspected.volumes.find((one: { uuid: string }) => one.uuid === mount.partition_uuid)
    assert.equal(volume.designator, mount.designator)
    assert.equal(volume.architecture, mount.architecture)
    assert.equal(volume.label || null, mount.partition_label)
    assert.equal(volume.fileSystem?.type ?? null, mount.fstype)
  }
}

/** systemd-dissect mounts what it can, and wants a file system wherever one should be, and folders to mount on. */
function format(device: string, offset: number, size: string, tree: string): void {
  run('mkfs.ext4', '-q', '-F', '-L', 'a label', '-d', tree, '-E', `offset=${offset}`, device, size)
}

for (const sectorSize of [512, 4096]) {
  test(`inspect agrees with sfdisk, blkid and systemd-dissect, ${sectorSize}-byte sectors`, () => {
    using folder = temporaryFolder()
    const tree = makeTree(folder.path)
    for (const name of ['home', 'srv', 'usr', 'bin']) mkdirSync(join(tree, name))
    const made = {
      repart: (path: string) => {
        using device = loopDevice(emptyFile(path, 64 * MiB), sectorSize)
        const definitions = join(folder.path, `repart-${sectorSize}.d`)
        mkdirSync(definitions)
        const define = (name: string, text: string) => writeFileSync(join(definitions, name), `[Partition]\n${text}`)
        define('10-root.conf', `Type=root\nCopyFiles=${tree}:/\nFormat=ext4\nSizeMaxBytes=16M\nReadOnly=yes\n`)
        define('20-home.conf', 'Type=home\nFormat=ext4\nSizeMaxBytes=16M\nLabel=häuser\n')
        define('30-srv.conf', 'Type=srv\nFormat=ext4\nSizeMaxBytes=8M\nNoAuto=yes\n')
        run(
          'systemd-repart',
          '--empty=force',
          `--definitions=${definitions}`,
          '--dry-run=no',
          '--no-pager',
          device.path,
        )
      },
      sgdisk: (path: string) => {
        using device = loopDevice(emptyFile(path, 32 * MiB), sectorSize)
        const args = ['-n', `1:0:+8M`, '-t', `1:${typeUuids.root}`, '-c', '1:os_3', '-A', '1:set:60', '-n', '2:0:+4M']
        run('sgdisk', ...args, '-t', `2:${typeUuids.home}`, '-A', '2:set:59', device.path)
        format(device.path, MiB, '8M', tree)
        format(device.path, 9 * MiB, '4M', tree)
      },
      sfdisk: (path: string) => {
        using device = loopDevice(emptyFile(path, 32 * MiB), sectorSize)
        const script = join(folder.path, 'script')
        const sectors = (MiB / sectorSize) * 4
        writeFileSync(
          script,
          `label: gpt\nsize=${sectors}, type=${typeUuids.root}, name="one"\nsize=${sectors}, type=${typeUuids.usr}, attrs="GUID:60"\n`,
        )
        run('sh', '-c', `sfdisk --quiet --no-reread ${device.path} < ${script}`)
        format(device.path, MiB, '4M', tree)
        format(device.path, 5 * MiB, '4M', tree)
      },
    }
    for (const [name, make] of Object.entries(made)) {
      const path = join(folder.path, `${name}.raw`)
      make(path)
      using device = loopDevice(path, sectorSize)
      compareWithPeers(path, device.path, sectorSize)
    }
  })
}
