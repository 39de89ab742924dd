import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { emptyFile, MiB } from '../support/images.js'
import { attempt, cli, cliPath, packageRoot, run, temporaryFolder } from '../support/run.js'

/** The rows of docs/mistakes.md. */
function readMistakes() {
  const page = readFileSync(join(packageRoot, 'docs/mistakes.md'), 'utf8')
  return [...page.matchAll(/^\| `ddi-attach ([^`]+)` \| (.+) \| (\d+) \|$/gm)].map(([, typed, answer, status]) => ({
    typed: typed!,
    answer: answer!.split('<br>'),
    status: Number(status),
  }))
}

/** A line of an answer; `…` stands for anything. */
function patternOf(line: string): string {
  const literal = line.split('…').map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return `(?:ddi-attach: )?${literal.join('.*')}`
}

test('after each of twenty common mistakes, the answer is that of docs/mistakes.md', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  run('mke2fs', '-q', '-t', 'ext4', at('fs.raw'), '4M')
  emptyFile(at('blank.raw'), 4 * MiB)
  emptyFile(at('disk.raw'), 16 * MiB)
  writeFileSync(at('text'), 'text')
  assert.equal(cli('volume', 'init', at('disk.raw')).status, 0)
  assert.equal(cli('volume', 'create', at('disk.raw'), '--type=home', '--label=home', '--size=1M').status, 0)
  const mistakes = readMistakes()
  assert.equal(mistakes.length, 20)
  for (const { typed, answer, status } of mistakes) {
    const words = typed.split(' ')
    const ended = attempt('env', '-C', folder.path, process.execPath, cliPath, ...words)
    assert.match(ended.stderr, new RegExp(`^${answer.map(patternOf).join('\\n')}\\n$`), typed)
    assert.deepEqual([ended.status, ended.stdout], [status, ''], typed)
  }
})
