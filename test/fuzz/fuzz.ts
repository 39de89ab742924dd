// npm run fuzz -- [--seconds N] [--count N] [--target NAME]… [--seed N] [--input FILE] [--findings FOLDER] [--report FILE]
import { existsSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot } from '../support/run.js'
import { inProcess, type Limits, type Report, supervise } from './supervise.js'
import { targetNames } from './target.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    count: { type: 'string', default: 'Infinity' },
    target: { type: 'string', multiple: true },
    seed: { type: 'string' },
    input: { type: 'string' },
    findings: { type: 'string', default: join(packageRoot, 'build/fuzz') },
    report: { type: 'string' },
  },
})
const names = values.target ?? targetNames()
const parallel = Math.min(availableParallelism(), names.length)
const limits: Limits = {
  seed: values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed),
  // All targets together take as long as was said.
  seconds: (Number(values.seconds) * parallel) / names.length,
  count: Number(values.count),
  slow: 2,
  patience: 40,
  sanitized: existsSync(join(packageRoot, 'build/Debug/ddi.node')),
  findings: resolve(values.findings),
}

async function replay(name: string, file: string): Promise<void> {
  const once = { first: 0, count: 1, seconds: 60, file: resolve(file) }
  const { progress, messages, death } = await inProcess(name, limits, once)
  for (const message of messages) console.log('what' in message ? message.what : `${message.kind}: over the limit`)
  console.log(death ?? progress)
}

function row({ target, inputs, accepted, codes, slowest, memory, findings }: Report): string {
  const columns = [inputs, accepted, codes.length, `${slowest.toFixed(2)} s`, `${Math.round(memory / 2 ** 20)} MiB`]
  return [target.padEnd(20), ...[...columns, findings.length].map((one) => String(one).padStart(10))].join('')
}

async function all(): Promise<void> {
  console.log(`seed ${limits.seed}, the addon ${limits.sanitized ? 'with AddressSanitizer and UBSan' : 'as it is'}`)
  const head = ['inputs', 'accepted', 'codes', 'slowest', 'memory', 'findings']
  console.log(['target'.padEnd(20), ...head.map((one) => one.padStart(10))].join(''))
  const waiting = [...names]
  const reports: Report[] = []
  const lane = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const report = await supervise(name, limits)
      console.log(row(report))
      for (const { what, path } of report.findings) console.log(`  ${path}\n    ${what.replaceAll('\n', '\n    ')}`)
      reports.push(report)
    }
  }
  await Promise.all(Array.from({ length: parallel }, lane))
  const unclean = reports.filter(({ inputs, findings }) => inputs === 0 || findings.length > 0)
  const failed = unclean.length
  const total = reports.reduce((sum, { inputs }) => sum + inputs, 0)
  console.log(`${total} inputs, ${reports.length - failed} of ${reports.length} targets without findings`)
  const failures = unclean.map(({ target, findings }) => ({
    name: `fuzz target ${target}`,
    message: findings[0]?.what ?? 'no input was tried',
  }))
  if (values.report !== undefined)
    writeFileSync(values.report, JSON.stringify({ passed: reports.length - failed, failed, skipped: 0, failures }))
  process.exitCode = failed === 0 ? 0 : 1
}

if (values.input === undefined) await all()
else await replay(names[0]!, values.input)
