#!/usr/bin/env node
// What is asked most by scripts needs none of the rest.
import { readFileSync, writeSync } from 'node:fs'

/** @returns whether the version was asked for, and could be written */
function printedVersion(): boolean {
  if (process.argv.length !== 3 || process.argv[2] !== '--version') return false
  // From dist/cli, where it is bundled.
  const facts = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  try {
    writeSync(1, `${(JSON.parse(facts) as { readonly version: string }).version}\n`)
    return true
  } catch {
    return false
  }
}

// What is wrong with the output, the rest knows to say.
if (!printedVersion()) await (await import('./run.js')).run()
