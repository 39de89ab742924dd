import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkJson } from './json-schema.js'

// Of a run on a terminal, the test runner has children print colours.
delete process.env['FORCE_COLOR']

/** Runs a program to its end. @returns stdout; throws with stderr where it fails */
export function run(command: string, ...args: string[]): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (error) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit status ${status}\n${stdout}${stderr}`)
  return stdout
}

/** Runs a program to its end, whatever that is. */
export function attempt(command: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (error) throw error
  return { status, stdout, stderr }
}

/** A folder that is gone at the end of the scope. */
export function temporaryFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'ddi-test-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

const here = dirname(fileURLToPath(import.meta.url))

/** The package’s folder: this file runs as dist/test/support/run.js. */
export const packageRoot = join(here, '../../..')

export const cliPath = join(packageRoot, 'dist/cli/main.js')

/** Runs `ddi-attach`. What it prints as JSON has to be what the schema of its verb says. */
export function cli(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return checked(args, attempt(process.execPath, cliPath, ...args))
}

/** Runs `ddi-attach` as nobody. */
export function cliAsNobody(...args: string[]): ReturnType<typeof attempt> {
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups']
  return checked(args, attempt('setpriv', ...nobody, process.execPath, cliPath, ...args))
}

function checked(args: readonly string[], ended: ReturnType<typeof attempt>): ReturnType<typeof attempt> {
  if (/(^|\0)--json[=\0](pretty|short)/.test(args.join('\0')) && ended.stdout !== '') checkJson(args, ended.stdout)
  return ended
}
