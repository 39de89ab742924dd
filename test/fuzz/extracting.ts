// File systems that a tool takes apart.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExtractedFiles } from '../../lib/mount/entries.js'

/** A tree with a directory, a file with an attribute, an empty file, and links. */
export function smallTree(): string {
  const tree = mkdtempSync(join(tmpdir(), 'tree-'))
  mkdirSync(join(tree, 'etc/empty'), { recursive: true })
  writeFileSync(join(tree, 'etc/os-release'), 'ID=ddi\n')
  writeFileSync(join(tree, 'nothing'), '')
  symlinkSync('../nothing', join(tree, 'etc/link'))
  symlinkSync(`/${'long/'.repeat(20)}`, join(tree, 'far'))
  return tree
}

/** Takes a file system apart, and lists it: nothing appears but where it may. */
export async function extractAndList(
  bytes: Buffer,
  extract: (volume: string, directory: string) => Promise<ExtractedFiles>,
): Promise<void> {
  const outer = mkdtempSync(join(tmpdir(), 'outer-'))
  const around = join(outer, 'around')
  mkdirSync(around)
  try {
    const volume = join(outer, 'volume')
    writeFileSync(volume, bytes)
    const files = await extract(volume, join(around, 'files'))
    await files.list()
    await files.attribute('etc/os-release', 'user.x')
  } finally {
    assert.deepEqual(readdirSync(outer).sort(), ['around', 'volume'])
    for (const name of readdirSync(around)) assert.match(name, /^files(\.[a-z]+)?$/)
    rmSync(outer, { recursive: true, force: true })
  }
}
