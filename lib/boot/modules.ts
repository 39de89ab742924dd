import { readdir, readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { readIfThere } from '../bytes/small-file.js'
import { moduleName } from '../kernel/module-dependencies.js'
import { loadModule } from '../kernel/modules.js'
import type { BootContext } from './context.js'
import { inLoadingOrder, type ModuleTable, modulesFor, parseModuleTable } from './module-table.js'

/** What no device asks for, and no boot does without. */
const always: readonly string[] = ['loop', 'dm_mod', 'dm_verity', 'erofs', 'squashfs', 'overlay']

/** What no device asks for either, where this kernel and this machine have it. */
const welcome: readonly string[] = ['af_packet', 'ipv6', 'efivarfs', 'dmi_sysfs', 'qemu_fw_cfg', 'sha256', 'sha512']

/** A module may bring a bus with devices of its own; no chain of buses is as long as this. */
const mostRounds = 16

/** Between two looks at whether devices have come, in ms. */
const interval = 100

/**
 * Loads the modules of the initrd for the devices of this machine, and those that images need.
 * What is missing, or does not load, is told and is no error: another module may do.
 * @returns until it is disposed of, devices that come later get their modules too
 */
export async function loadModules({ root, parameters, log }: BootContext): Promise<AsyncDisposable> {
  const running = release()
  const directory = join(root, 'lib/modules', running)
  const table = await readModuleTable(directory)
  const missing = always.filter((name) => !table.modules.has(name) && !table.builtIn.has(name))
  if (missing.length > 0) log.say(`the initrd has no modules of Linux ${running} for ${missing.join(', ')}`)
  const loaded = new Set<string>()
  const load = async (aliases: readonly string[]) => {
    const wanted = new Set(aliases.flatMap((alias) => modulesFor(table, alias)))
    const modules = [...inLoadingOrder(table, wanted)].filter(([name]) => !loaded.has(name))
    for (const [name, { path }] of modules) {
      loaded.add(name)
      const file = join(directory, path)
      await loadModule(file, moduleParameters(parameters.text, name)).catch((error: Error) => log.say(error.message))
    }
    return modules.length
  }
  const seen = new Set<string>()
  const coldplug = async () => {
    for (let round = 0; round < mostRounds; round++) {
      const aliases = (await deviceAliases(root)).filter((alias) => !seen.has(alias))
      for (const alias of aliases) seen.add(alias)
      if ((await load(aliases)) === 0) return
    }
  }
  const news = await eventsIn(root)
  await load([...always, ...welcome])
  await coldplug()
  log.say(`modules: ${loaded.size} loaded`)
  const over = new AbortController()
  const following = follow(root, { news, signal: over.signal }, coldplug).catch((error: Error) =>
    log.say(error.message),
  )
  return {
    async [Symbol.asyncDispose]() {
      over.abort()
      await following
    },
  }
}

/** Calls something each time that the kernel has told of devices since. @param news the number of what it had told before */
async function follow(
  root: string,
  { news, signal }: { readonly news: string; readonly signal: AbortSignal },
  act: () => Promise<void>,
): Promise<void> {
  for (let seen = news; ; ) {
    await wait(interval, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    const now = await eventsIn(root)
    if (now !== seen) await act()
    seen = now
  }
}

/** How many events of devices the kernel has told of. Node.js cannot listen to them: they come by netlink. */
async function eventsIn(root: string): Promise<string> {
  return await readFile(join(root, 'sys/kernel/uevent_seqnum'), 'utf8').catch(() => '')
}

/** @param directory as `/lib/modules/6.1.0-50-amd64`; what is missing there is taken for empty */
export async function readModuleTable(directory: string): Promise<ModuleTable> {
  const text = async (name: string) => (await readIfThere(join(directory, name)))?.toString('utf8') ?? ''
  const [dep, builtIn, alias] = await Promise.all(['modules.dep', 'modules.builtin', 'modules.alias'].map(text))
  return parseModuleTable({ dep: dep!, builtIn: builtIn!, alias: alias! })
}

/** What the devices of all buses ask for. */
async function deviceAliases(root: string): Promise<readonly string[]> {
  const buses = join(root, 'sys/bus')
  const aliases = new Set<string>()
  for (const bus of await readdir(buses).catch(() => [])) {
    const devices = join(buses, bus, 'devices')
    const names = await readdir(devices).catch(() => [])
    const texts = await Promise.all(
      names.map((name) => readFile(join(devices, name, 'modalias'), 'utf8').catch(() => '')),
    )
    for (const text of texts) if (text.trim() !== '') aliases.add(text.trim())
  }
  return [...aliases]
}

/** `max_loop=8` of `loop.max_loop=8` on the kernel command line, as modprobe(8) takes them. */
export function moduleParameters(commandLine: string, module: string): string {
  const words = commandLine.match(/(?:"[^"]*"?|[^\s"])+/g) ?? []
  return words
    .flatMap((word) => {
      const [, name = '', parameter] = /^([^.="]+)\.(.+)$/s.exec(word) ?? []
      return parameter !== undefined && moduleName(name) === module ? [parameter] : []
    })
    .join(' ')
}
