import { spawn } from 'node:child_process'
import { DdiError } from '../../errors.js'
import { withMount } from '../../mount/with.js'
import { findProgram } from '../../tool.js'
import { inOwnNamespace, passOn } from '../namespace.js'
import { imageArgument, mountOptions, mountWork } from '../options.js'
import { argument, verb } from '../verb.js'

export default verb({
  summary: 'run a command in the root directory of an image, mounted for that command alone',
  arguments: [imageArgument, argument('<command...>', 'runs there; DDI_ROOT is the directory')],
  options: mountOptions,
  json: null,
  examples: ['ddi-attach with image.raw cat etc/os-release', "ddi-attach with image.raw sh -c 'du -sh usr'"],
  passThroughOptions: true,
  async run([path, command], options) {
    await inOwnNamespace(async () => {
      const [program, ...rest] = command
      const found = await commandPath(program)
      await withMount(path, await mountWork(options), async (mounted) => {
        const env = { ...process.env, DDI_ROOT: mounted.path }
        await passOn(spawn(found, rest, { stdio: 'inherit', cwd: mounted.path, env }))
      })
    })
  },
})

/**
 * The command is the user's: it is found by PATH, but never in the image that it runs in.
 * @throws ERR_DDI_COMMAND_NOT_FOUND, ERR_DDI_USAGE
 */
async function commandPath(program: string): Promise<string> {
  if (program.startsWith('-'))
    throw new DdiError('ERR_DDI_USAGE', `${program} stands where the command begins: options of with come before IMAGE`)
  if (program.includes('/')) return program
  const found = await findProgram(program, process.env['PATH']?.split(':'))
  if (found !== undefined) return found
  throw new DdiError('ERR_DDI_COMMAND_NOT_FOUND', `cannot run ${program}: no directory of PATH has it`)
}
