import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DdiError, systemError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { throwIfAborted } from '../work.js'
import type { BootLog } from './boot-log.js'
import type { BootStore } from './boot-store.js'
import { advanceClock } from './clock.js'
import type { BootContext } from './context.js'
import { actOnSuccess, emergencyShell } from './failure.js'
import { firstProgram, handOver } from './hand-over.js'
import { mountKernelFileSystems } from './kernel-file-systems.js'
import { loadModules } from './modules.js'
import { configureNetwork } from './network.js'
import { actionsIn, type BootStage, parseBootParameters } from './parameters.js'
import { readRequested } from './requested.js'
import type { RootImage } from './root.js'
import type { StoreSpace } from './store-pull.js'

/** Options of {@link boot}. */
export interface BootOptions {
  /** The root directory: `/`, but in tests. */
  readonly root: string
  /** Where the root of the system is mounted, below the root directory. */
  readonly sysroot: string
  /** Whether the system takes over then; if not, what is booted stays mounted. */
  readonly switchRoot: boolean
  readonly log: BootLog
  readonly signal?: AbortSignal
}
const bootOptionNames: OptionNames<BootOptions> = {
  root: true,
  sysroot: true,
  switchRoot: true,
  log: true,
  signal: true,
}

/**
 * Boots a machine, from the kernel's file systems to the first program of the system.
 * @returns what is mounted, if the system is not to take over; undefined if nothing is requested
 * @throws what the first stage that fails throws: nothing is to be booted then. ERR_DDI_ABORTED
 */
export async function boot(options: BootOptions): Promise<RootImage | undefined> {
  checkOptions(options, bootOptionNames, 'boot')
  const { sysroot, switchRoot, ...given } = options
  const { root, log } = given
  await mountKernelFileSystems(root)
  log.say(`the boot program began, ${Math.round(process.uptime() * 1000)} ms after its start`)
  const context = { ...given, parameters: parseBootParameters(await commandLine(root)) }
  const image = await mountSystem(context, sysroot, switchRoot)
  if (!image) return undefined
  if (switchRoot && image.stored) {
    const { kexecImage } = await import('./kexec.js')
    await kexecImage(context, image.stored.label, join(root, sysroot))
  }
  await reach(context, 'hand-over')
  return switchRoot ? await handOver(context, sysroot) : image
}

/** @param mayBeOnDisk who does not hand over leaves the disk to the initrd that it is a part of */
async function mountSystem(
  context: BootContext,
  sysroot: string,
  mayBeOnDisk: boolean,
): Promise<RootImage | undefined> {
  const { parameters } = context
  const { successAction } = actionsIn(parameters.text)
  await reach(context, 'modules')
  await using _ = await loadModules(context)
  await advanceClock(context)
  await reach(context, 'store')
  const store = await findStore(context)
  const stored = store && (await mountStored(context, store, sysroot))
  if (stored) return stored
  await reach(context, 'network')
  const requested = await readRequested(context)
  await configureNetwork(context, requested)
  await reach(context, 'pull')
  // What downloads and attaches is most of the code: the network comes up before it is loaded.
  const { obtainRoot, rootOnDisk } = await import('./root.js')
  const space = store ?? (mayBeOnDisk ? await newStore(context) : undefined)
  const pulled = await obtainRoot(context, space, requested)
  if (await actOnSuccess(context, successAction)) return undefined
  const image = pulled ?? (mayBeOnDisk ? await rootOnDisk(context) : undefined)
  if (!image) {
    if (!mayBeOnDisk) return undefined
    const missing = parameters.store ? `no image of ${parameters.store.product} boots from a store, ` : ''
    throw new DdiError(
      'ERR_DDI_NO_ROOT',
      `there is no root to boot: ${missing}none was pulled, and root= names no disk`,
    )
  }
  await reach(context, 'mount')
  await mountPulled(context, image, sysroot)
  return image
}

async function findStore(context: BootContext): Promise<BootStore | undefined> {
  const { store } = context.parameters
  if (!store) return undefined
  const { findBootStore } = await import('./boot-store.js')
  return await findBootStore(context, store)
}

/** The disk that this machine installs itself on, for the image that it is about to pull. */
async function newStore(context: BootContext): Promise<StoreSpace | undefined> {
  const { install, store } = context.parameters
  if (install === null) return undefined
  const { installMachine } = await import('./install-machine.js')
  const path = await installMachine(context, install)
  return path !== undefined && store ? { path, product: store.product } : undefined
}

async function mountStored(context: BootContext, store: BootStore, sysroot: string): Promise<RootImage | undefined> {
  const { rootInStore } = await import('./store-root.js')
  return await rootInStore(context, store, (image) => mountBootable(context, image, sysroot))
}

/** What was pulled into the store boots as what was there before. */
async function mountPulled(context: BootContext, image: RootImage, sysroot: string): Promise<void> {
  const mount = () => mountBootable(context, image, sysroot)
  if (!image.stored) {
    await mount()
    return context.log.say(`${image.path} is mounted on ${sysroot}`)
  }
  const { mountInstalled } = await import('./store-root.js')
  await mountInstalled(context, { path: image.path, stored: image.stored }, mount)
}

/** Mounts a root that a system can begin in; nothing is left of one that it cannot. */
async function mountBootable(context: BootContext, image: RootImage, sysroot: string): Promise<void> {
  const place = join(context.root, sysroot)
  await mkdir(place, { recursive: true })
  const { mountRoot } = await import('./root.js')
  const mount = await mountRoot(context, image, place)
  try {
    await firstProgram(context, sysroot)
  } catch (error) {
    await mount[Symbol.asyncDispose]()
    throw error
  }
}

/** The end of a stage, and what may be before the next. */
async function reach(context: BootContext, stage: BootStage): Promise<void> {
  throwIfAborted(context.signal)
  if (context.parameters.breakBefore !== stage) return
  await emergencyShell(context, `rd.break: before ${stage}`)
}

/** As the kernel has it, without the end of the line. @throws ERR_DDI_KERNEL */
async function commandLine(root: string): Promise<string> {
  const path = join(root, 'proc/cmdline')
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw systemError(error, `cannot read ${path}`)
  })
  return text.trim()
}
