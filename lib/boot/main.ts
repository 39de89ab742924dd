// Process 1 of the initrd. It must not end, or the kernel panics; what was orphaned waits for the system's own to be reaped.
import { readFile } from 'node:fs/promises'
import { DdiError } from '../errors.js'
import { boot } from './boot.js'
import { openBootLog } from './boot-log.js'
import { actAs, emergencyShell } from './failure.js'
import { mountKernelFileSystems } from './kernel-file-systems.js'
import { actionsIn, parseBootParameters } from './parameters.js'

const root = '/'
const log = openBootLog(root)

/** Nothing is booted any more. */
async function fail(error: unknown): Promise<never> {
  const code = error instanceof DdiError ? ` (${error.code})` : ''
  log.say(`FAILED: ${error instanceof Error ? error.message : String(error)}${code}`)
  if (!(error instanceof DdiError) && error instanceof Error) log.say(error.stack ?? '')
  const text = await readFile('/proc/cmdline', 'utf8').catch(() => '')
  if (/(^|\s)(rd|ddi)\.shell(\s|=|$)/.test(text)) await emergencyShell({ root, log }, 'after a failure')
  const { failureAction } = actionsIn(text)
  log.say(failureAction === 'none' ? 'this machine stays as it is' : `now: ${failureAction}`)
  await actAs(failureAction)
  return await forever()
}

async function forever(): Promise<never> {
  return await new Promise(() => setInterval(() => undefined, 2 ** 30))
}

process.on('uncaughtException', (error) => void fail(error))
try {
  await mountKernelFileSystems(root)
  log.say(`started, ${Math.round(process.uptime() * 1000)} ms after Node.js`)
  const parameters = parseBootParameters((await readFile('/proc/cmdline', 'utf8')).trim())
  await boot({ root, parameters, log })
  await forever()
} catch (error) {
  await fail(error)
}
