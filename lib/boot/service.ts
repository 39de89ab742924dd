// What ddi-boot.service executes in the initrd of somebody else, who has loaded modules and brought up the network, and hands
// over to the system afterwards.
import { readFile } from 'node:fs/promises'
import { tuneForDownloads } from '../pull/tune.js'
import { openBootLog } from './boot-log.js'
import { actOnFailure, actOnSuccess } from './failure.js'
import { actionsIn, parseBootParameters } from './parameters.js'
import { mountRoot, obtainRoot } from './root.js'

const root = '/'
tuneForDownloads()
const log = openBootLog(root)
const commandLine = (await readFile('/proc/cmdline', 'utf8')).trim()
try {
  const context = { root, log, parameters: parseBootParameters(commandLine) }
  const { successAction } = actionsIn(commandLine)
  if (context.parameters.store) log.say('no store is looked for: ddi-boot.service boots from none')
  const image = await obtainRoot(context)
  if (!(await actOnSuccess(context, successAction))) {
    if (image) await mountRoot(context, image, '/sysroot')
    log.say(image ? `${image.path} is mounted on /sysroot` : 'no root was pulled: it is left to this initrd')
  }
} catch (error) {
  process.exitCode = 1
  await actOnFailure({ root, log }, error, commandLine)
}
