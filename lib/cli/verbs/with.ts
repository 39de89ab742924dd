import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DdiError } from '../../errors.js'
import { mountImage } from '../../mount/mount.js'
import { imageArgument, mountOptions, mountWork } from '../options.js'
import { argument, verb } from '../verb.js'

/** Marks the process that `with` starts in a mount namespace of its own. */
const inNamespace = 'DDI_WITH_NAMESPACE'

export default verb({
  summary: 'run a command in the root directory of an image, mounted for that command alone',
  arguments: [imageArgument, argument('<command...>', 'runs there; DDI_ROOT is the directory')],
  options: mountOptions,
  examples: ['ddi-attach with image.raw cat etc/os-release', "ddi-attach with image.raw sh -c 'du -sh usr'"],
  passThroughOptions: true,
  async run([path, command], options) {
    if (process.env[inNamespace] !== '1') return await runInNamespace()
    const directory = await mkdtemp(join(tmpdir(), 'ddi-with-'))
    try {
      const mounted = await mountImage(path, directory, await mountWork(options))
      try {
        const { [inNamespace]: _, ...env } = process.env
        const [program, ...rest] = command
        const child = spawn(program, rest, { stdio: 'inherit', cwd: directory, env: { ...env, DDI_ROOT: directory } })
        await passOn(child)
      } finally {
        await mounted.unmount()
      }
    } finally {
      await rmdir(directory)
    }
  },
})

/** A process is in its namespace from its start: runs this command line again, in one whose mounts nobody else sees. */
async function runInNamespace(): Promise<void> {
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const options = ['--mount', '--propagation', 'slave', '--']
  await passOn(
    spawn('unshare', [...options, ...again], { stdio: 'inherit', env: { ...process.env, [inNamespace]: '1' } }),
  )
}

/** Waits for a child, passes signals on to it, and takes over its exit status. */
async function passOn(child: ReturnType<typeof spawn>): Promise<void> {
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, forward)
  const [status, signal] = (await once(child, 'exit').catch((error: unknown) => {
    throw new DdiError('ERR_DDI_NOT_FOUND', `cannot run ${child.spawnfile}: ${(error as Error).message}`, {
      cause: error,
    })
  })) as [number | null, NodeJS.Signals | null]
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, forward)
  process.exitCode = status ?? 128 + constants.signals[signal!]
}
