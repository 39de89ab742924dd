// Pulling 1 GiB of mixed data from nginx on loopback: ddi-attach pull against systemd-pull, curl and zstd, and how much memory it takes.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MiB } from '../test/support/images.js'
import { serveByNginx } from '../test/support/nginx.js'
import { cliPath, run, temporaryFolder } from '../test/support/run.js'
import { compare, makeMixedFile, reportMemory } from './compare.js'

using folder = temporaryFolder()
const at = (name: string) => join(folder.path, name)
const www = at('www')
mkdirSync(www)
makeMixedFile(join(www, 'image.raw'), 1024 * MiB)
run(
  'sh',
  '-c',
  `cd '${www}' && xz -T0 -0 --keep image.raw && gzip -1 --keep image.raw && zstd -q -1 --keep image.raw && sha256sum * > SHA256SUMS`,
)
await using nginx = await serveByNginx(www, at('nginx'))
const sums = readFileSync(join(www, 'SHA256SUMS'), 'utf8').trim().split('\n')
const hashes = new Map(sums.map((line) => [line.slice(66), line.slice(0, 64)]))
const output = at('pulled.raw')
const systemdPull = '/lib/systemd/systemd-pull'
const pull = (name: string) =>
  [
    process.execPath,
    cliPath,
    'pull',
    `${nginx.url}/${name}`,
    `--output=${output}`,
    `--verify=${hashes.get(name)}`,
    '--force',
  ] as const
const ours = (name: string) => ({
  name: `ddi-attach pull ${name}`,
  run: async () => {
    rmSync(output, { force: true })
    run(...pull(name))
  },
})
/** Both verify, and flush what they wrote. systemd-pull 252 waits for ever for some checksum files. */
const systemd = (name: string) => ({
  name: `systemd-pull raw ${name}`,
  run: async () => {
    rmSync(at('root'), { recursive: true, force: true })
    const extras = ['settings', 'roothash', 'roothash-signature', 'verity'].map((what) => `--${what}=no`)
    run(
      systemdPull,
      'raw',
      `--verify=${hashes.get(name)}`,
      `--image-root=${at('root')}`,
      ...extras,
      `${nginx.url}/${name}`,
      'image',
    )
  },
})
const shell = (title: string, command: string) => ({
  name: title,
  run: async () => {
    rmSync(at('peer'), { force: true })
    run('sh', '-c', `${command} && sync '${at('peer')}'`)
  },
})

const rounds = 5
const title = (what: string) => `pull 1 GiB, ${what}`
await compare({ title: title('as it is'), rounds, ours: ours('image.raw'), peer: systemd('image.raw'), target: 2 })
await compare({
  title: title('as it is'),
  rounds,
  ours: ours('image.raw'),
  peer: shell('curl -o, sync', `curl -s -o '${at('peer')}' ${nginx.url}/image.raw`),
  target: 1 / 1.2,
})
await compare({ title: title('xz'), rounds, ours: ours('image.raw.xz'), peer: systemd('image.raw.xz'), target: 1.7 })
await compare({ title: title('gzip'), rounds, ours: ours('image.raw.gz'), peer: systemd('image.raw.gz'), target: 1.5 })
await compare({
  title: title('zstd'),
  rounds,
  ours: ours('image.raw.zst'),
  peer: shell('curl | zstd -d, sync', `curl -s ${nginx.url}/image.raw.zst | zstd -q -d > '${at('peer')}'`),
  target: 1 / 1.3,
})
for (const name of ['image.raw', 'image.raw.xz', 'image.raw.gz', 'image.raw.zst'])
  reportMemory(pull(name), at('memory'), 200)
