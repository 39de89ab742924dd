import { join } from 'node:path'
import { DdiError } from '../errors.js'
import { switchRoot } from '../kernel/switch-root.js'
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
export async function handOver({ root, parameters, log, signal }: BootContext, sysroot: string): Promise<never> {
  const candidates = parameters.init === null ? programs : [parameters.init]
  const variables = Object.entries(process.env).filter(([name]) => !ours.includes(name))
  const environment = Object.fromEntries(variables) as Record<string, string>
  await completeRoot(join(root, sysroot))
  for (const program of candidates) {
    throwIfAborted(signal)
    try {
      log.say(`handing over to ${program}`)
      return await switchRoot(join(root, sysroot), [program, ...process.argv.slice(2)], environment)
    } catch (error) {
      if (!(error instanceof DdiError && error.code === 'ERR_DDI_NOT_FOUND')) throw error
    }
  }
  throw new DdiError('ERR_DDI_NOT_FOUND', `${sysroot} has none of ${candidates.join(', ')}: it holds no system to boot`)
}
