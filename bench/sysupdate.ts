// Ten versions of an image, one update after the other: ddi-attach store update against systemd-sysupdate with partitions as slots,
// in time and in space. Debian 12 has no systemd-sysupdate: SYSTEMD_SYSUPDATE names one, which scripts/systemd-sysupdate.sh builds.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { initDisk, readStore } from '../lib/index.js'
import { emptyFile, MiB, makeGptImage, typeUuids } from '../test/support/images.js'
import { serveByNginx } from '../test/support/nginx.js'
import { cliPath, run, temporaryFolder } from '../test/support/run.js'
import { median, report, time } from './compare.js'

const sysupdate = process.env['SYSTEMD_SYSUPDATE'] ?? '/usr/lib/systemd/systemd-sysupdate'
if (!existsSync(sysupdate)) {
  console.log(
    `updates against systemd-sysupdate: skipped, ${sysupdate} is not there; scripts/systemd-sysupdate.sh builds it`,
  )
  process.exit()
}
const versions = 10
const rounds = 3
/** Images grow: a slot is as large as the largest will be. */
const sizes = Array.from({ length: versions }, (_, index) => (38 + 4 * index) * MiB)
const largest = sizes.at(-1)!

using folder = temporaryFolder()
const at = (name: string) => join(folder.path, name)
mkdirSync(at('www'))
const nameOf = (version: number) => `acme_${version}.raw`
for (const [index, size] of sizes.entries()) {
  run('sh', '-c', `head -c ${size - 2 * MiB} /dev/urandom >'${at('data')}'`)
  makeGptImage(at(`www/${nameOf(index + 1)}`), size, [{ type: typeUuids.root, size: size - 2 * MiB, from: at('data') }])
}
rmSync(at('data'))
await using nginx = await serveByNginx(at('www'), at('nginx'))

/** Offers the versions up to one. */
function offer(version: number): void {
  const names = Array.from({ length: version }, (_, index) => nameOf(index + 1)).join(' ')
  run('sh', '-c', `cd '${at('www')}' && sha256sum ${names} > SHA256SUMS`)
}

async function updates(update: () => void): Promise<number> {
  let total = 0
  for (let version = 1; version <= versions; version++) {
    offer(version)
    total += await time(async () => update())
  }
  return total
}

async function ours(): Promise<{ readonly ms: number; readonly bytes: number }> {
  rmSync(at('store.raw'), { force: true })
  emptyFile(at('store.raw'), (versions + 1) * largest)
  await (await initDisk(at('store.raw'))).close()
  const options = ['--source', nginx.url, '--match', 'acme_@v.raw', '--verify', 'checksum']
  const ms = await updates(() => void run(process.execPath, cliPath, 'store', 'update', at('store.raw'), ...options))
  const { images } = await readStore(at('store.raw'))
  if (images.length !== versions) throw new Error(`${images.length} images in the store`)
  return { ms, bytes: images.reduce((sum, { volume }) => sum + volume.size, 0) }
}

async function theirs(): Promise<{ readonly ms: number; readonly bytes: number }> {
  rmSync(at('slots.raw'), { force: true })
  emptyFile(at('slots.raw'), (versions + 1) * largest)
  const slot = `size=${largest / 512}, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=_empty`
  run(
    'sh',
    '-c',
    `printf '${`label: gpt\\n${`${slot}\\n`.repeat(versions)}`.replaceAll('\n', '\\n')}' | sfdisk -q '${at('slots.raw')}'`,
  )
  const loop = run('losetup', '--find', '--show', at('slots.raw')).trim()
  try {
    run('partx', '--add', loop)
    const transfer = [
      ...['[Transfer]', 'Verify=no', '[Source]', 'Type=url-file', `Path=${nginx.url}/`, 'MatchPattern=acme_@v.raw'],
      ...['[Target]', 'Type=partition', `Path=${loop}`, 'MatchPattern=acme_@v', 'MatchPartitionType=root-x86-64'],
      `InstancesMax=${versions}`,
    ]
    mkdirSync(at('transfers'), { recursive: true })
    writeFileSync(at('transfers/acme.conf'), `${transfer.join('\n')}\n`)
    const ms = await updates(() => void run(sysupdate, `--definitions=${at('transfers')}`, '--verify=no', 'update'))
    const labels = run('sfdisk', '--dump', at('slots.raw'))
    if (labels.includes('_empty')) throw new Error('systemd-sysupdate left slots empty')
    return { ms, bytes: versions * largest }
  } finally {
    run('partx', '--delete', loop)
    run('losetup', '--detach', loop)
  }
}

const ms = { ours: [] as number[], theirs: [] as number[] }
const bytes = { ours: 0, theirs: 0 }
for (let round = 0; round < rounds; round++) {
  for (const [name, one] of [
    ['ours', ours],
    ['theirs', theirs],
  ] as const) {
    const result = await one()
    ms[name].push(result.ms)
    bytes[name] = result.bytes
  }
}
const shown = (name: 'ours' | 'theirs') =>
  `${median(ms[name]).toFixed(1).padStart(9)} ms, ${Math.round(bytes[name] / MiB)} MiB of the disk`
console.log(
  `ten versions of an image of ${sizes[0]! / MiB} to ${largest / MiB} MiB, one update each (median of ${rounds})`,
)
console.log(`  ${shown('ours')}  ddi-attach store update`)
console.log(`  ${shown('theirs')}  ${run(sysupdate, '--version').split('\n')[0]}: systemd-sysupdate update, ten slots`)
report(`${(bytes.theirs / bytes.ours).toFixed(2)} times the space in slots`, bytes.ours < bytes.theirs, 'more than 1')
report(`${(median(ms.theirs) / median(ms.ours)).toFixed(2)} times as fast`, true, 'none')
