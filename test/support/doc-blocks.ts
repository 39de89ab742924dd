// The command blocks of a Markdown page, run in their order in one shell.
//
// ```console: prompts, and what is printed, which is compared. ```sh: commands whose output is not shown. ```ts: programs that import the
// package, which test/package.test.ts compiles. ```conf: files of other programs. There are no others: none is left out by mistake.
// <!-- run: … --> runs unseen; <!-- not run: REASON --> leaves out the block below it; <!-- kernel --> runs the one below in a kernel
// with device-mapper, and a network that is nobody else's: one boot for all pages.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cliPath, packageRoot, run } from './run.js'

export interface Command {
  readonly text: string
  /** Of the page, from 0: the first line of its output, and the one behind that; undefined where none is compared. */
  readonly output?: readonly [number, number]
  /** Of the page, from 1. */
  readonly line: number
  readonly inKernel: boolean
}

export interface Page {
  readonly path: string
  readonly lines: readonly string[]
  readonly commands: readonly Command[]
  readonly programs: readonly string[]
  /** Why blocks are not run. */
  readonly reasons: readonly string[]
  /** The lines of those blocks. */
  readonly notRun: readonly string[]
}

/** Its examples are held against the options and arguments of the verbs, in test/cli/docs.test.ts. */
const generated = 'docs/cli.md'

/** All pages of the repository. */
export function documents(): readonly string[] {
  const pages = run('git', '-C', packageRoot, 'ls-files', '*.md').trimEnd().split('\n')
  return pages.filter((path) => path !== generated)
}

export function readPage(path: string): Page {
  const lines = readFileSync(join(packageRoot, path), 'utf8').split('\n')
  const commands: Command[] = []
  const [programs, reasons, notRun]: [string[], string[], string[]] = [[], [], []]
  let inKernel = false
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!
    assert.doesNotMatch(line, /^ {4}[#$] /, `${path}:${at + 1}: no test runs a command that is only indented`)
    if (line === '<!-- kernel -->') inKernel = true
    else if (line.startsWith('<!-- not run: ')) {
      reasons.push(line)
      const fence = lines.findIndex((one, n) => n > at && one.startsWith('```'))
      at = endOfFence(lines, fence)
      notRun.push(...lines.slice(fence + 1, at))
    } else if (line === '<!-- run:') {
      const end = lines.indexOf('-->', at)
      commands.push({ text: lines.slice(at + 1, end).join('\n'), line: at + 1, inKernel })
      at = end
    } else if (/^\s*(```|~~~)/.test(line)) {
      assert.match(line, /^```(sh|console|ts|conf)$/, `${path}:${at + 1}: no test knows such a block`)
      const end = endOfFence(lines, at)
      if (line === '```ts') programs.push(programIn(path, lines, [at + 1, end]))
      else if (line !== '```conf')
        commands.push(...commandsIn(lines, [at + 1, end], line === '```console').map((one) => ({ ...one, inKernel })))
      inKernel = false
      at = end
    }
  }
  return { path, lines, commands, programs, reasons, notRun }
}

function programIn(path: string, lines: readonly string[], [start, end]: readonly [number, number]): string {
  const program = lines.slice(start, end).join('\n')
  assert.match(program, /from 'ddi(\/\w+)?'$/m, `${path}:${start}: no test compiles a program that does not import ddi`)
  return program
}

function endOfFence(lines: readonly string[], start: number): number {
  return lines.indexOf('```', start + 1)
}

type Found = Omit<Command, 'inKernel'>

function commandsIn(lines: readonly string[], [start, end]: readonly [number, number], hasPrompts: boolean): Found[] {
  const found: Found[] = []
  const isCommand = (line: string) => (hasPrompts ? /^[#$] /.test(line) : line.trim() !== '' && !line.startsWith('#'))
  for (let at = start; at < end; at++) {
    if (!isCommand(lines[at]!)) continue
    const first = at
    const word = /<<-?'?([A-Z]+)'?/.exec(lines[at]!)?.[1]
    if (word !== undefined) at = lines.indexOf(word, at)
    while (lines[at]!.endsWith('\\')) at++
    const text = lines
      .slice(first, at + 1)
      .join('\n')
      .slice(hasPrompts ? 2 : 0)
    let behind = at + 1
    while (behind < end && hasPrompts && !isCommand(lines[behind]!)) behind++
    found.push({ text, line: first + 1, ...(hasPrompts && { output: [at + 1, behind] as const }) })
    at = behind - 1
  }
  return found
}

interface Result {
  readonly output: string
  readonly status: number
}

/** What pages show in place of the folder that they are run in. */
const shownFolder = '/root'

/** Runs each page in a folder of its own: what comes before the kernel's part of any, all those in one boot, and the rest. */
export function runPages(pages: readonly Page[], folder: string): Map<Page, readonly Result[]> {
  // Pages have commands that other users run.
  chmodSync(folder, 0o755)
  const wrapper = join(folder, 'ddi-attach')
  writeFileSync(wrapper, `#!/bin/sh\nexec ${process.execPath} ${cliPath} "$@"\n`, { mode: 0o755 })
  const parts = pages.map((page, n) => {
    const inKernel = page.commands.map((one) => one.inKernel)
    const [from, to] = [inKernel.indexOf(true), inKernel.lastIndexOf(true) + 1]
    const part = (start: number, end: number) => scriptOf(page, join(folder, String(n)), [start, end])
    return from < 0
      ? { before: part(0, inKernel.length), kernel: '', after: '' }
      : { before: part(0, from), kernel: part(from, to), after: part(to, inKernel.length) }
  })
  bash(parts.map(({ before }) => before).join('\n'), folder)
  const kernel = parts.map((part) => part.kernel).join('\n')
  if (kernel.trim() !== '') {
    writeFileSync(join(folder, 'kernel.sh'), `ip link set lo up\n${kernel}\nexit 0\n`)
    bash(`. scripts/setup.sh; in_kernel bash ${folder}/kernel.sh`, folder)
  }
  bash(parts.map(({ after }) => after).join('\n'), folder)
  return new Map(pages.map((page, n) => [page, resultsOf(page, join(folder, String(n)))]))
}

/** @param range of the page's commands */
function scriptOf({ commands }: Page, folder: string, [from, to]: readonly [number, number]): string {
  const [work, results] = [join(folder, 'work'), join(folder, 'results')]
  for (const path of [work, results]) mkdirSync(path, { recursive: true })
  const lines = commands.slice(from, to).map(({ text }, n) => {
    const result = join(results, String(from + n))
    // In braces: bash 5.2 ends a subshell with a file that it sources and whose last command is a program.
    writeFileSync(`${result}.sh`, `{\n${text}\n}\n`)
    return `. ${result}.sh >${result}.out 2>&1 </dev/null; echo $? >${result}.status`
  })
  return `(cd ${work} || exit; ${lines.join('\n')}\nkill $(jobs -p) 2>/dev/null)`
}

function bash(script: string, folder: string): void {
  const path = `${folder}:${process.env['PATH']}:/usr/sbin:/sbin`
  const { status, stderr, stdout } = spawnSync('bash', ['-c', `${script}\nexit 0`], {
    cwd: packageRoot,
    env: { ...process.env, PATH: path, LC_ALL: 'C.UTF-8', TZ: 'UTC', UML_MEMORY: '512M', package: packageRoot },
    encoding: 'utf8',
  })
  assert.equal(status, 0, stdout + stderr)
}

function resultsOf({ commands }: Page, folder: string): readonly Result[] {
  return commands.map((_, n) => {
    const read = (ending: string) => readFileSync(join(folder, 'results', `${n}.${ending}`), 'utf8')
    return { output: read('out').replaceAll(join(folder, 'work'), shownFolder), status: Number(read('status')) }
  })
}

/** What differs from run to run. */
export function normalised(text: string): string {
  return (
    text
      .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UUID')
      .replace(/\b[0-9a-f]{16,}(…|\b)/g, 'HASH')
      .replace(/@[0-9a-f]{8}\b/g, '@ID')
      .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z?/g, 'TIME')
      // Compressed, random bytes take more or less.
      .replace(/\S+ downloaded/g, 'SIZE downloaded')
      .replace(/[ \t]+/g, ' ')
      .trim()
  )
}

/** Compares what the commands of a page did with what it shows. */
export function checkPage({ path, lines, commands }: Page, results: readonly Result[]): void {
  for (const [n, { text, line, output }] of commands.entries()) {
    const { status, output: printed } = results[n]!
    const where = `${path}:${line}: ${text}\n${printed}`
    const shown = output ? lines.slice(...output).join('\n') : ''
    if (!shown.includes('ERR_DDI_')) assert.equal(status, 0, where)
    if (output) assert.equal(normalised(printed), normalised(shown), where)
  }
}

/** Puts what the commands of a page print into it. */
export function rewritePage({ path, lines, commands }: Page, results: readonly Result[]): void {
  const changed = [...lines]
  for (const [n, { output }] of [...commands.entries()].reverse()) {
    if (!output) continue
    const printed = results[n]!.output.trimEnd()
    const shown = lines.slice(...output).join('\n')
    if (normalised(shown) === normalised(printed)) continue
    const blank = shown.endsWith('\n') ? [''] : []
    changed.splice(output[0], output[1] - output[0], ...(printed === '' ? [] : printed.split('\n')), ...blank)
  }
  writeFileSync(join(packageRoot, path), changed.join('\n'))
}
