import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { addon, rebootCommands } from '../../bindings/addon.js'
import { toolPath } from '../tool.js'
import type { BootContext } from './context.js'
import type { BootAction } from './parameters.js'

/** Does what is to be done in the end; with `none` the machine stays as it is. @throws ERR_DDI_PERMISSION */
export async function actAs(action: BootAction): Promise<void> {
  if (action !== 'none') await addon().reboot(rebootCommands[action])
}

/** A shell on the console, until whoever sits there leaves it. */
export async function emergencyShell({ root, log }: Pick<BootContext, 'root' | 'log'>, why: string): Promise<void> {
  const busybox = await toolPath({ command: ['busybox'], package: 'busybox-static' })
  log.say(`${why}: a shell; leave it by exit`)
  const console = openSync(join(root, 'dev/console'), 'r+')
  // Of a session of its own, so that the terminal can be its.
  const shell = spawn(busybox, ['setsid', '-c', busybox, 'sh', '-i'], { stdio: [console, console, console] })
  await once(shell, 'close').catch((error: Error) => log.say(error.message))
}
