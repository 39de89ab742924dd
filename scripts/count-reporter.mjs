// A reporter for node:test that says how many tests there were, and which failed: {"passed", "failed", "skipped", "failures"}.
export default async function* count(events) {
  const counts = { passed: 0, failed: 0, skipped: 0, failures: [] }
  for await (const { type, data } of events) {
    if (data?.details?.type === 'suite') continue
    if (type === 'test:fail') {
      const { error } = data.details
      counts.failed++
      counts.failures.push({ file: data.file, name: data.name, message: error?.cause?.message ?? error?.message })
    } else if (type === 'test:pass') counts[data.skip === undefined ? 'passed' : 'skipped']++
  }
  yield JSON.stringify(counts)
}
