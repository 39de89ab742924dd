// A chain of 100 segments: attached against one of a single segment, read against a plain loop device.
import { randomFillSync, randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { attach, extensionTypeUuid, extensionUuid } from '../lib/index.js'
import { MiB, makeGptImage, type PartitionSpec, typeUuids } from '../test/support/images.js'
import { run, temporaryFolder } from '../test/support/run.js'
import { compare } from './compare.js'

const total = 256 * MiB
const continued = 58
const noAuto = 63

/** A disk whose only volume has so many segments, the last of them first on the disk. */
function makeChain(path: string, count: number): string {
  const uuid = randomUUID()
  const size = Math.floor(total / count / 4096) * 4096
  const segments = Array.from({ length: count }, (_, n): PartitionSpec => {
    const more = n < count - 1 ? [continued] : []
    return n === 0
      ? { type: typeUuids.home, size, uuid, label: 'home', attributes: more }
      : { type: extensionTypeUuid, size, uuid: extensionUuid(uuid, n), attributes: [noAuto, ...more] }
  })
  makeGptImage(path, 2 * total, segments.reverse())
  const fd = openSync(path, 'r+')
  const bytes = Buffer.alloc(16 * MiB)
  for (let at = MiB; at < 1.5 * total; at += bytes.length) writeSync(fd, randomFillSync(bytes), 0, bytes.length, at)
  closeSync(fd)
  return path
}

const buffer = Buffer.alloc(4 * MiB)

/** Reads the first bytes of a device, of the device's own cache nothing. */
async function readDevice(device: string): Promise<void> {
  run('blockdev', '--flushbufs', device)
  const fd = openSync(device, 'r')
  for (let done = 0; done < total - 4 * MiB; ) done += readSync(fd, buffer, 0, buffer.length, null)
  closeSync(fd)
}

using folder = temporaryFolder()
const chained = makeChain(join(folder.path, 'chained.raw'), 100)
const single = makeChain(join(folder.path, 'single.raw'), 1)
const attaching = (path: string) => async () => {
  const attachment = await attach(path, { name: 'bench' })
  await attachment.detach()
}
await compare({
  title: 'attach + detach a chain, at most twice the time',
  rounds: 15,
  ours: { name: '100 segments', run: attaching(chained) },
  peer: { name: '1 segment', run: attaching(single) },
  target: 0.5,
})

const attachment = await attach(chained, { name: 'bench' })
const loop = run('losetup', '--find', '--show', '--read-only', single).trim()
try {
  await compare({
    title: `read ${(total - 4 * MiB) / MiB} MiB`,
    rounds: 7,
    ours: { name: 'through a chain of 100 segments', run: () => readDevice(attachment.volumes[0]!.device) },
    peer: { name: 'a plain loop device', run: () => readDevice(loop) },
    target: 0.9,
  })
} finally {
  run('losetup', '--detach', loop)
  await attachment.detach()
}
