// What starting ddi-attach costs, as a multiple of starting Node: without the code of a verb, and with that of inspect.
import { join } from 'node:path'
import { MiB, makeGptImage, typeUuids } from '../test/support/images.js'
import { cliPath, run, temporaryFolder } from '../test/support/run.js'
import { median, report, time } from './compare.js'

using folder = temporaryFolder()
const path = join(folder.path, 'image.raw')
makeGptImage(path, 16 * MiB, [{ type: typeUuids.root, size: MiB }])

const node: number[] = []
const version: number[] = []
const inspect: number[] = []
for (let round = 0; round < 25; round++) {
  node.push(await time(async () => void run(process.execPath, '-e', '0')))
  version.push(await time(async () => void run(process.execPath, cliPath, '--version')))
  inspect.push(await time(async () => void run(process.execPath, cliPath, 'inspect', path)))
}
const times = (values: readonly number[]) => median(values) / median(node)
console.log('starting ddi-attach (median of 25)')
console.log(`  ${median(inspect).toFixed(1).padStart(9)} ms  ddi-attach inspect`)
console.log(`  ${median(version).toFixed(1).padStart(9)} ms  ddi-attach --version`)
console.log(`  ${median(node).toFixed(1).padStart(9)} ms  node -e 0`)
report(`${times(version).toFixed(2)} × node -e 0 for --version`, times(version) <= 1.2, 'at most 1.2')
report(`${times(inspect).toFixed(2)} × node -e 0 for inspect`, times(inspect) <= 1.6, 'at most 1.6')
