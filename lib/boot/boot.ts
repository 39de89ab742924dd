import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { advanceClock } from './clock.js'
import type { BootContext } from './context.js'
import { actAs, emergencyShell } from './failure.js'
import { handOver } from './hand-over.js'
import { loadModules } from './modules.js'
import { configureNetwork } from './network.js'
import type { BootStage } from './parameters.js'
import { obtainRoot } from './root.js'

export interface BootOptions {
  /** Where the root is mounted, below the root directory. Default: /sysroot */
  readonly sysroot?: string
  /** Whether the system that is mounted there takes over then. Default: true */
  readonly switchRoot?: boolean
}

/** All of a boot, from kernel file systems that are mounted to the first program of the system. @throws what a stage throws */
export async function boot(context: BootContext, options: BootOptions = {}): Promise<void> {
  const { sysroot = '/sysroot', switchRoot = true } = options
  const { root, parameters, log } = context
  const reach = async (stage: BootStage) => {
    if (parameters.breakBefore === stage) await emergencyShell(context, `rd.break=${stage}`)
  }
  await reach('modules')
  await loadModules(context)
  await advanceClock(context)
  await reach('network')
  await configureNetwork(context)
  await reach('pull')
  const image = await obtainRoot(context)
  await actAs(parameters.successAction)
  if (!image) return log.say('nothing was pulled to boot')
  await reach('mount')
  const { mountRoot } = await import('./root.js')
  await mkdir(join(root, sysroot), { recursive: true })
  await mountRoot(context, image, join(root, sysroot))
  log.say(`mounted ${image.path} on ${sysroot}`)
  await reach('hand-over')
  if (switchRoot) await handOver(context, sysroot)
}
