// Adds up what count-reporter.mjs and the fuzzer wrote: KERNEL FOLDER. Fails if no test ran in the kernel.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [, , kernel, folder] = process.argv
const nothing = { passed: 0, failed: 1, skipped: 0, failures: [] }
const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8') || JSON.stringify(nothing))
const lines = []

/** What failed and was run again counts as it ended then, and is named: the load of other tests is no defect, and not nothing either. */
function counted(name) {
  const first = read(name)
  if (!existsSync(join(folder, `${name}-again`))) return first
  const again = read(`${name}-again`)
  if (again.failed === 0)
    for (const one of first.failures) lines.push(`failed at first, and passed by itself: ${one.name}: ${one.message}`)
  return {
    ...first,
    passed: first.passed + first.failed - again.failed,
    failed: again.failed,
    failures: again.failures,
  }
}

const [inKernel, ...others] = ['kernel', 'host', 'fuzz'].map(counted)
const counts = [inKernel, ...others]
const sum = (key) => counts.reduce((total, one) => total + one[key], 0)
const ran = inKernel.passed + inKernel.failed

console.log(`${ran} tests ran in ${kernel}`)
if (sum('skipped') > 0) console.log(`${sum('skipped')} tests were skipped: each says why above`)
if (inKernel.passed === 0) console.log('the kernel tests did not run, which is a failure')
// Once more where the end of a long log is all that is kept of it.
for (const { name, message } of counts.flatMap(({ failures }) => failures)) lines.push(`failed: ${name}: ${message}`)
for (const line of lines) console.log(line)
console.log(`${sum('passed')} passed, ${sum('failed')} failed`)
process.exitCode = sum('failed') === 0 && inKernel.passed > 0 ? 0 : 1
