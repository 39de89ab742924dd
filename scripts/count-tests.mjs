// Adds up what count-reporter.mjs and the fuzzer wrote: KERNEL KERNEL-FILE FILE…. Fails if no test ran in the kernel.
import { readFileSync } from 'node:fs'

const [, , kernel, ...files] = process.argv
const read = (file) => JSON.parse(readFileSync(file, 'utf8') || '{"passed":0,"failed":1,"skipped":0}')
const counts = files.map(read)
const [inKernel] = counts
const sum = (key) => counts.reduce((total, one) => total + one[key], 0)
const ran = inKernel.passed + inKernel.failed

console.log(`${ran} tests ran in ${kernel}`)
if (sum('skipped') > 0) console.log(`${sum('skipped')} tests were skipped: each says why above`)
if (inKernel.passed === 0) console.log('the kernel tests did not run, which is a failure')
// Once more where the end of a long log is all that is kept of it.
for (const { failures = [] } of counts) for (const failure of failures) console.log(`failed: ${failure}`)
console.log(`${sum('passed')} passed, ${sum('failed')} failed`)
process.exitCode = sum('failed') === 0 && inKernel.passed > 0 ? 0 : 1
