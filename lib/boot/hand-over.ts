import { join } from 'node:path'
import { DdiError } from '../errors.js'
import { hasProgram, switchRoot } from '../kernel/switch-root.js'
import { throwIfAborted } from '../work.js'
import { completeRoot } from './base-directories.js'
import type { BootContext } from './context.js'

/** Where a system has its first program, unless `init=` says it. No shell: whoever wants one says so. */
const programs = ['/sbin/init', '/usr/lib/systemd/systemd', '/etc/init', '/bin/init'] as const

/** What the shell of /init adds to the environment that the kernel gives its first program. */
const ours: readonly string[] = ['PATH', 'PWD', 'OLDPWD', 'SHLVL', '_']

/**
 * Ends this program: the system takes over.
 * @throws ERR_DDI_NOT_FOUND if it has no first program, and what `switchRoot` throws
 */
export async function handOver(context: BootContext, sysroot: string): Promise<never> {
  const { root, log, signal } = context
  const program = await firstProgram(context, sysroot)
  const variables = Object.entries(process.env).filter(([name]) => !ours.includes(name))
  const environment = Object.fromEntries(variables) as Record<string, string>
  throwIfAborted(signal)
  log.say(`handing over to ${program}`)
  return await switchRoot(join(root, sysroot), [program, ...process.argv.slice(2)], environment)
}

/**
 * Completes the root of a system, and finds its first program.
 * @throws ERR_DDI_NOT_FOUND if it has none
 */
export async function firstProgram(
  { root, parameters }: Pick<BootContext, 'root' | 'parameters'>,
  sysroot: string,
): Promise<string> {
  const directory = join(root, sysroot)
  await completeRoot(directory)
  const candidates = parameters.init === null ? programs : [parameters.init]
  for (const program of candidates) if (await hasProgram(directory, program)) return program
  throw new DdiError('ERR_DDI_NOT_FOUND', `${sysroot} has none of ${candidates.join(', ')}: it holds no system to boot`)
}
