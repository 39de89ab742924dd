// Process 1 of the initrd. It must not end, or the kernel panics. Whom nobody waits for, the first program of the system will.
import { readFile } from 'node:fs/promises'
import { tuneForDownloads } from '../pull/tune.js'
import { boot } from './boot.js'
import { openBootLog } from './boot-log.js'
import { actOnFailure } from './failure.js'
import { mountKernelFileSystems } from './kernel-file-systems.js'

const root = '/'
const log = openBootLog(root)
const failing = new AbortController()

/** Whatever still runs, nothing is booted from now on. */
async function fail(error: unknown): Promise<void> {
  if (failing.signal.aborted) return
  failing.abort()
  // Without them nothing says what is to be done about it.
  await mountKernelFileSystems(root).catch(() => undefined)
  await actOnFailure({ root, log }, error, await readFile('/proc/cmdline', 'utf8').catch(() => ''))
}

process.on('uncaughtException', (error) => void fail(error))
// A timer is what keeps a process of Node.js.
setInterval(() => undefined, 2 ** 30)
tuneForDownloads()
await boot({ root, sysroot: '/sysroot', switchRoot: true, log, signal: failing.signal }).catch(fail)
