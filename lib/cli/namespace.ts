import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { type ErrorCode, systemError } from '../errors.js'
import { toolPath } from '../tool.js'

/** Marks the process that was started in a mount namespace of its own. */
const mark = 'DDI_IN_NAMESPACE'

/**
 * Runs a verb in a mount namespace of its own: nobody else sees what it mounts, and it is gone with it. A process is in its
 * namespace from its start: the command line is run again, there. Without privileges nothing is mounted.
 * @param run the verb; it finds its environment without our mark
 */
export async function inOwnNamespace(run: () => Promise<void>): Promise<void> {
  if (process.env[mark] === '1' || !(await mayUnshare())) {
    // As our parent dies, each of its threads tells us so: what the verb undoes then, no second signal cuts off.
    if (process.env[mark] === '1') process.on('SIGTERM', () => {})
    delete process.env[mark]
    return await run()
  }
  const tool = (name: string) => toolPath({ command: [name], package: 'util-linux' })
  const [unshare, setpriv] = await Promise.all([tool('unshare'), tool('setpriv')])
  const own = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn(unshare, ['--mount', '--propagation=slave', '--', setpriv, '--pdeathsig=TERM', '--', ...own], {
    stdio: inherited(process.argv),
    env: { ...process.env, [mark]: '1' },
  })
  await passOn(child)
}

const adminCapability = 21n

async function mayUnshare(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  return effective !== undefined && ((BigInt(`0x${effective}`) >> adminCapability) & 1n) === 1n
}

/** Standard input and output, and the descriptors that arguments name, as those of a shell's `<(…)`. */
function inherited(argv: readonly string[]): (number | 'ignore')[] {
  const named = argv.flatMap((one) => {
    const number = /\/(?:dev|proc\/self)\/fd\/(\d{1,3})$/.exec(one)?.[1]
    return number === undefined ? [] : [Number(number)]
  })
  const all = new Set([0, 1, 2, ...named])
  return Array.from({ length: Math.max(...all) + 1 }, (_, number) => (all.has(number) ? number : 'ignore'))
}

/** What execve(2) says of a program. */
const commandErrors: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'ERR_DDI_COMMAND_NOT_FOUND',
  ENOTDIR: 'ERR_DDI_COMMAND_NOT_FOUND',
  EACCES: 'ERR_DDI_COMMAND_NOT_EXECUTABLE',
  ENOEXEC: 'ERR_DDI_COMMAND_NOT_EXECUTABLE',
}

/** Waits for a child, passes signals on to it, and takes over its exit status. */
export async function passOn(child: ChildProcess): Promise<void> {
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, forward)
  const [status, signal] = (await once(child, 'exit').catch((error: unknown) => {
    throw systemError(error, `cannot run ${child.spawnfile}`, commandErrors)
  })) as [number | null, NodeJS.Signals | null]
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, forward)
  process.exitCode = status ?? 128 + constants.signals[signal!]
}
