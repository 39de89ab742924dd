// Verifying 1 GiB: ddi-attach verify against veritysetup verify, and how much memory it takes.
import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { formatVerity, MiB } from '../test/support/images.js'
import { cliPath, run, temporaryFolder } from '../test/support/run.js'
import { compare, report } from './compare.js'

using folder = temporaryFolder()
const path = join(folder.path, 'data')
const block = Buffer.alloc(16 * MiB)
const fd = openSync(path, 'w')
for (let written = 0; written < 1024 * MiB; written += block.length) writeSync(fd, randomFillSync(block))
closeSync(fd)
const { rootHash, hashPath } = formatVerity(path, `${path}.verity`)

const ours = [process.execPath, cliPath, 'verify', path, `--root-hash=${rootHash}`] as const
await compare({
  title: 'verify 1 GiB, page cache warm',
  rounds: 5,
  ours: { name: 'ddi-attach verify', run: async () => void run(...ours) },
  peer: { name: 'veritysetup verify', run: async () => void run('veritysetup', 'verify', path, hashPath, rootHash) },
  target: 1.8,
})

const largest = join(folder.path, 'memory')
run('/usr/bin/time', '--format=%M', `--output=${largest}`, ...ours)
const kibibytes = Number(run('cat', largest))
report(
  `${(kibibytes / 1024).toFixed(1)} MiB of memory at most, all of Node included`,
  kibibytes <= 64 * 1024,
  'at most 64',
)
