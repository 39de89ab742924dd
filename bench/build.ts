// Building an image of a tree of 1 GiB, compared with the tool that makes the file system plus hashing.
import { randomFillSync } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiB } from '../test/support/images.js'
import { cliPath, run, temporaryFolder } from '../test/support/run.js'
import { median, report, time } from './compare.js'

using folder = temporaryFolder()
const at = (name: string) => join(folder.path, name)
mkdirSync(at('tree'))
const block = Buffer.alloc(4 * MiB)
for (let file = 0; file < 256; file++) writeFileSync(at(`tree/${file}`), randomFillSync(block))
mkdirSync(at('repart.d'))
const define = (name: string, ...lines: string[]) =>
  writeFileSync(at(`repart.d/${name}.conf`), ['[Partition]', ...lines, ''].join('\n'))
define('10-root', 'Type=root', 'Format=erofs', 'CopyFiles=/', 'Verity=data', 'VerityMatchKey=r')
define('20-verity', 'Type=root-verity', 'Verity=hash', 'VerityMatchKey=r')

const times = { build: [] as number[], tool: [] as number[], hashing: [] as number[] }
/** Each run starts with the same free blocks and pages: what fresh ones cost depends on the machine. */
function clear(): void {
  for (const name of ['root.erofs', 'tree.verity', 'image.raw']) rmSync(at(name), { force: true })
  run('sync')
}

for (let round = 0; round < 5; round++) {
  clear()
  times.tool.push(
    await time(async () => {
      run('mkfs.erofs', '--quiet', at('root.erofs'), at('tree'))
      // Onto the disk, where an image is when its build ends.
      run('sync', at('root.erofs'))
    }),
  )
  times.hashing.push(
    await time(
      async () => void run(process.execPath, cliPath, 'verity', 'format', at('root.erofs'), at('tree.verity')),
    ),
  )
  clear()
  const build = ['build', `--definitions=${at('repart.d')}`, `--root=${at('tree')}`, '-o', at('image.raw')]
  times.build.push(await time(async () => void run(process.execPath, cliPath, ...build)))
}
const [build, tool, hashing] = [times.build, times.tool, times.hashing].map(median) as [number, number, number]
console.log('build an image of 1 GiB, erofs with verity (median of 5)')
console.log(`  ${build.toFixed(0).padStart(9)} ms  ddi-attach build`)
console.log(`  ${tool.toFixed(0).padStart(9)} ms  mkfs.erofs`)
console.log(`  ${hashing.toFixed(0).padStart(9)} ms  ddi-attach verity format`)
report(
  `${(build / (tool + hashing)).toFixed(2)} of both together`,
  build <= 1.15 * tool + hashing,
  'at most 1.15 of the tool, and hashing',
)
