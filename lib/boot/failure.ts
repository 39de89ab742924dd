import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { addon, rebootCommands } from '../../bindings/addon.js'
import { systemError } from '../errors.js'
import { systemPath, toolPath } from '../tool.js'
import type { BootContext } from './context.js'
import { actionsIn, type BootAction, wantsShell } from './parameters.js'

/** Ends the machine, unless there is nothing to do. @throws ERR_DDI_PERMISSION, ERR_DDI_KERNEL */
async function actAs(action: BootAction): Promise<void> {
  if (action === 'none') return
  await addon()
    .reboot(rebootCommands[action])
    .catch((error: unknown) => {
      throw systemError(error, `cannot ${action} this machine`)
    })
}

/** What is done instead of booting, once everything is pulled. @returns whether anything is @throws as {@link actAs} */
export async function actOnSuccess({ log }: Pick<BootContext, 'log'>, action: BootAction): Promise<boolean> {
  if (action === 'none') return false
  log.say(`everything is pulled; now: ${action}`)
  await actAs(action)
  return true
}

/**
 * What is done about a failure: it is told; there is a shell, if one is asked for; and the machine ends as the kernel command line says.
 * @param commandLine which may be what is wrong
 */
export async function actOnFailure(
  context: Pick<BootContext, 'root' | 'log'>,
  error: unknown,
  commandLine: string,
): Promise<void> {
  const { log } = context
  const { message, code, stack } = error as Partial<NodeJS.ErrnoException>
  log.say(`FAILED: ${message ?? String(error)}${code === undefined ? '' : ` (${code})`}`)
  // An error that nobody foresaw.
  if (code === undefined && stack !== undefined) for (const line of stack.split('\n').slice(1)) log.say(line)
  try {
    if (wantsShell(commandLine)) await emergencyShell(context, 'the boot failed')
    const { failureAction } = actionsIn(commandLine)
    log.say(
      failureAction === 'none' ? 'this machine boots nothing' : `this machine boots nothing; now: ${failureAction}`,
    )
    await actAs(failureAction)
  } catch (another) {
    log.say((another as Error).message)
  }
}

/** A shell on the console, until whoever sits there leaves it. One that cannot be started is told. */
export async function emergencyShell({ root, log }: Pick<BootContext, 'root' | 'log'>, why: string): Promise<void> {
  log.say(`${why}; a shell on the console, until you exit`)
  try {
    const setsid = await toolPath({ command: ['setsid'], package: 'busybox-static' })
    await using console = await open(join(root, 'dev/console'), 'a+')
    // In a session of its own the console is its terminal: Ctrl-C works.
    const shell = spawn(setsid, ['-c', 'sh', '-i'], {
      stdio: [console.fd, console.fd, console.fd],
      env: { ...process.env, PATH: systemPath },
    })
    await once(shell, 'close')
  } catch (error) {
    log.say(`there is no shell: ${(error as Error).message}`)
  }
}
