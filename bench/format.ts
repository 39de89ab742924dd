// Making a hash tree over 1 GiB: ddi-attach verity format against veritysetup format and openssl, and how much memory it takes.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { MiB } from '../test/support/images.js'
import { attempt, cliPath, run, temporaryFolder } from '../test/support/run.js'
import { compare, makeRandomFile, median, report, reportMemory, time } from './compare.js'

using folder = temporaryFolder()
const path = join(folder.path, 'data')
makeRandomFile(path, 1024 * MiB)
const [ours, theirs] = [join(folder.path, 'ours'), join(folder.path, 'theirs')]
const command = [process.execPath, cliPath, 'verity', 'format', path, ours, '--force'] as const

await compare({
  title: 'make a hash tree over 1 GiB, page cache warm',
  rounds: 5,
  ours: { name: 'ddi-attach verity format', run: async () => void run(...command) },
  peer: {
    name: 'veritysetup format',
    run: async () => {
      rmSync(theirs, { force: true })
      run('veritysetup', 'format', path, theirs)
    },
  },
  target: 2.2,
})

// On one core: all but Node's own start is hashing, reading and writing.
const alone = ['taskset', '--cpu-list', '0'] as const
const times: number[] = []
const starts: number[] = []
const speeds: number[] = []
for (let round = 0; round < 5; round++) {
  times.push(await time(async () => void run(...alone, ...command)))
  starts.push(await time(async () => void run(...alone, process.execPath, cliPath, '--version')))
  const { stdout } = attempt(...alone, 'openssl', 'speed', '-evp', 'sha256', '-bytes', '4096', '-seconds', '1')
  speeds.push(Number(/^sha256\s+([\d.]+)k/im.exec(stdout)![1]) * 1000)
}
const speed = (1024 * MiB) / ((median(times) - median(starts)) / 1000)
const share = speed / median(speeds)
report(
  `${(speed / 1e9).toFixed(2)} GB/s on one core, ${share.toFixed(2)} of openssl’s ${(median(speeds) / 1e9).toFixed(2)} GB/s`,
  share >= 0.85,
  'at least 0.85',
)

reportMemory(command, join(folder.path, 'memory'), 64)
