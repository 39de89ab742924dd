#!/usr/bin/env node
// What is asked most by scripts needs none of the rest.
import { readFileSync } from 'node:fs'
import { packageRoot } from '../../bindings/package-root.js'

if (process.argv.length === 3 && process.argv[2] === '--version') {
  const { version } = JSON.parse(readFileSync(`${packageRoot}/package.json`, 'utf8')) as { readonly version: string }
  console.log(version)
} else {
  const { run } = await import('./run.js')
  await run()
}
