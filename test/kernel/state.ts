// What a test leaves in the kernel, and the tools that tell.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { run } from '../support/run.js'

/** Asserts that no device of anyone's is left: the kernel under test is ours alone. */
export function assertNothingLeft(): void {
  assert.equal(run('dmsetup', 'ls').trim(), 'No devices found')
  assert.equal(run('losetup', '--list', '--noheadings').trim(), '')
  assert.deepEqual(
    readdirSync('/dev/mapper').filter((name) => name !== 'control'),
    [],
  )
}

export function dmTable(name: string): string {
  return run('dmsetup', 'table', name).trim()
}
