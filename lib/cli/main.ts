#!/usr/bin/env node
// What is asked most by scripts needs none of the rest.
import { readFileSync } from 'node:fs'

if (process.argv.length === 3 && process.argv[2] === '--version') {
  // From dist/cli, where it is bundled.
  const facts = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  console.log((JSON.parse(facts) as { readonly version: string }).version)
} else {
  const { run } = await import('./run.js')
  await run()
}
