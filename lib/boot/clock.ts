import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { addon } from '../../bindings/addon.js'
import type { BootContext } from './context.js'

/** Its time of modification is that of the build, as for systemd: file-hierarchy(7) has it in /usr. */
const epochFile = 'usr/lib/clock-epoch'

/**
 * Sets a clock that is behind the build to the time of the build: certificates are not valid yet for a machine without a battery.
 */
export async function advanceClock({ root, log }: Pick<BootContext, 'root' | 'log'>): Promise<void> {
  const built = await stat(join(root, epochFile)).catch(() => undefined)
  if (!built || built.mtimeMs <= Date.now()) return
  await addon()
    .setClock(Math.floor(built.mtimeMs / 1000))
    .then(
      () => log.say(`the clock was behind the build of this initrd, and is set to it: ${new Date().toISOString()}`),
      (error: Error) => log.say(`the clock is behind the build of this initrd, and cannot be set: ${error.message}`),
    )
}
