import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DdiError, systemCode } from './errors.js'
import { throwIfAborted } from './work.js'

const execute = promisify(execFile)

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

/**
 * Runs a tool to its end.
 * @returns its standard output
 * @throws ERR_DDI_LIBRARY_MISSING if it is not installed, ERR_DDI_TOOL with its output if it fails, ERR_DDI_ABORTED
 */
export async function runTool(
  { command, package: name, env, accepted = [], encoding = 'utf8' }: Tool,
  signal?: AbortSignal,
): Promise<string> {
  const [program, ...rest] = command
  try {
    const { stdout } = await execute(program, rest, {
      env: { ...process.env, ...env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
      maxBuffer: mostOutput,
      encoding,
      ...(signal && { signal }),
    })
    return stdout
  } catch (error) {
    throwIfAborted(signal)
    if (systemCode(error) === 'ENOENT')
      throw new DdiError('ERR_DDI_LIBRARY_MISSING', `${program} is not installed: install ${name}`, { cause: error })
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: unknown; stderr?: unknown }
    if (accepted.some((status) => status === code)) return String(stdout)
    const said = `${String(stderr ?? '')}${String(stdout ?? '')}`.trim().slice(0, 2000)
    throw new DdiError('ERR_DDI_TOOL', `${command.join(' ')} failed: ${said}`, { cause: error })
  }
}
