import type { ChildProcess, ChildProcessWithoutNullStreams } from 'node:child_process'
import { access, constants, realpath, stat } from 'node:fs/promises'
import { basename, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { type Step, steps } from '../bindings/steps.js'
import { DdiError, type ErrorCode, systemCode, systemError } from './errors.js'
import { throwIfAborted } from './work.js'

/** Most verbs run no program: what runs them is loaded where it is used first. */
const programs = () => process.getBuiltinModule('node:child_process')

/** A program of the system, and the package that contains it. */
export interface Tool {
  readonly command: readonly [string, ...string[]]
  /** Name of the Debian package. */
  readonly package: string
  readonly env?: Readonly<Record<string, string>>
  /** Exit statuses besides 0 that mean success. */
  readonly accepted?: readonly number[]
  /** Of the output; latin1 keeps bytes that are no text. Default: utf8. */
  readonly encoding?: BufferEncoding
}

const mostOutput = 64 * 1024 * 1024

/** Where the system has its programs, whatever the environment says. The last is that of NixOS. */
const systemDirectories: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
  '/run/current-system/sw/bin',
]

/** What programs that we start find others in. */
export const systemPath = systemDirectories.join(':')

/**
 * Finds a program by its absolute path: never in the current directory, which may be that of an image.
 * @param directories Default: those of the system; relative ones are passed over
 * @returns undefined if no directory has it
 */
export async function findProgram(
  name: string,
  directories: readonly string[] = systemDirectories,
): Promise<string | undefined> {
  for (const path of directories.filter((one) => isAbsolute(one)).map((one) => join(one, name))) {
    const isProgram = await access(path, constants.X_OK)
      .then(async () => (await stat(path)).isFile())
      .catch(() => false)
    if (isProgram) return path
  }
  return undefined
}

function tell(command: readonly string[]): void {
  if (steps.hasSubscribers) steps.publish(['run', ...command] satisfies Step)
}

/** The absolute path of a tool. @throws ERR_DDI_LIBRARY_MISSING if it is not installed */
export async function toolPath({
  command: [program],
  package: name,
}: Pick<Tool, 'command' | 'package'>): Promise<string> {
  const path = await findProgram(program)
  if (path === undefined) throw new DdiError('ERR_DDI_LIBRARY_MISSING', `${program} is not installed: install ${name}`)
  return path
}

/**
 * The command line of a program that ends with us, killed or not: setpriv(1) asks the kernel for it.
 * @param command begins with an absolute path
 */
async function tiedToUs([path, ...rest]: readonly [string, ...string[]]): Promise<[string, string[]]> {
  findingSetpriv ??= findSetpriv()
  const setpriv = await findingSetpriv
  return setpriv === undefined ? [path, rest] : [setpriv, ['--pdeathsig=KILL', '--', path, ...rest]]
}

let findingSetpriv: Promise<string | undefined> | undefined

/** @returns undefined if there is none but that of busybox, which cannot */
async function findSetpriv(): Promise<string | undefined> {
  const path = await findProgram('setpriv')
  return path !== undefined && basename(await realpath(path)) === 'setpriv' ? path : undefined
}

/**
 * Starts a program that ends with us, its standard streams piped.
 * @param command begins with an absolute path
 * @throws ERR_DDI_LIMIT, ERR_DDI_KERNEL if it cannot be started, ERR_DDI_ABORTED
 */
export async function startProgram(
  command: readonly [string, ...string[]],
  { env, signal }: { readonly env?: NodeJS.ProcessEnv; readonly signal?: AbortSignal | undefined } = {},
): Promise<ChildProcessWithoutNullStreams> {
  const [program, words] = await tiedToUs(command)
  tell(command)
  try {
    const child = programs().spawn(program, words, { stdio: 'pipe', ...(env && { env }), ...(signal && { signal }) })
    await new Promise<void>((done, fail) => child.once('spawn', done).once('error', fail))
    return child
  } catch (error) {
    throwIfAborted(signal)
    throw systemError(error, `cannot run ${command.join(' ')}`)
  }
}

/**
 * Runs a tool to its end.
 * @returns its standard output
 * @throws ERR_DDI_LIBRARY_MISSING if it is not installed, ERR_DDI_TOOL with its output if it fails, ERR_DDI_ABORTED
 */
export async function runTool(tool: Tool, signal?: AbortSignal): Promise<string> {
  const { command, env, accepted = [], encoding = 'utf8' } = tool
  const [program, words] = await tiedToUs([await toolPath(tool), ...command.slice(1)])
  tell(command)
  try {
    const execution = promisify(programs().execFile)(program, words, {
      env: { ...process.env, ...inEnglish, ...env, PATH: systemPath },
      maxBuffer: mostOutput,
      encoding,
      ...(signal && { signal }),
    })
    endWithUs(execution.child, signal)
    const { stdout } = await execution
    return stdout
  } catch (error) {
    throwIfAborted(signal)
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: unknown; stderr?: unknown }
    if (accepted.some((status) => status === code)) return String(stdout)
    if (systemCode(error)) throw systemError(error, `cannot run ${command.join(' ')}`)
    const said = `${String(stderr ?? '')}${String(stdout ?? '')}`.trim().slice(0, 2000)
    throw toolError(`${command.join(' ')} failed`, said, { cause: error })
  }
}

/**
 * The error of a program that failed. That there is no space is one of its own, whoever finds it out.
 * @param said by the program, in English
 * @param code for all other failures. Default: ERR_DDI_TOOL
 */
export function toolError(
  what: string,
  said: string,
  { code = 'ERR_DDI_TOOL', cause }: { readonly code?: ErrorCode; readonly cause?: unknown } = {},
): DdiError {
  const isFull = /No space left on device|ENOSPC|quota exceeded|Wrote only/i.test(said)
  return new DdiError(isFull ? 'ERR_DDI_NO_SPACE' : code, `${what}: ${said}`, { cause })
}

/** What makes a program speak English, in any alphabet. */
export const inEnglish = { LC_ALL: 'C.UTF-8', LANGUAGE: '' } as const

const running = new Set<ChildProcess>()

/** How long an aborted tool may take to end, in ms. */
const patience = 1000

/** A tool that does not end when it is told to, or still runs when this process ends, is killed. */
function endWithUs(child: ChildProcess, signal: AbortSignal | undefined): void {
  const insist = () => void setTimeout(() => child.kill('SIGKILL'), patience).unref()
  if (running.size === 0) process.on('exit', killAll)
  running.add(child)
  signal?.addEventListener('abort', insist, { once: true })
  child.once('close', () => {
    running.delete(child)
    if (running.size === 0) process.off('exit', killAll)
    signal?.removeEventListener('abort', insist)
  })
}

function killAll(): void {
  for (const child of running) child.kill('SIGKILL')
}
