// Adds up what count-reporter.mjs wrote: KERNEL HOST-FILE KERNEL-FILE…. Fails where a run in the kernel had no test that passed.
import { readFileSync } from 'node:fs'

const [, , kernel, ...files] = process.argv
const read = (file) => JSON.parse(readFileSync(file, 'utf8') || '{"passed":0,"failed":1,"skipped":0}')
const all = files.map(read)
const [, ...inKernel] = all
const sum = (runs, key) => runs.reduce((total, run) => total + run[key], 0)
const ran = sum(inKernel, 'passed') + sum(inKernel, 'failed')
const didRun = inKernel.every(({ passed }) => passed > 0)

console.log(`${ran} tests ran in ${kernel}`)
if (sum(all, 'skipped') > 0) console.log(`${sum(all, 'skipped')} tests were skipped: each says why above`)
if (!didRun) console.log('the kernel tests did not run, which is a failure')
console.log(`${sum(all, 'passed')} passed, ${sum(all, 'failed')} failed`)
process.exitCode = sum(all, 'failed') === 0 && didRun ? 0 : 1
