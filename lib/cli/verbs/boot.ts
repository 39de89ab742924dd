import { boot } from '../../boot/boot.js'
import { openBootLog } from '../../boot/boot-log.js'
import { exists } from '../../bytes/exists.js'
import { DdiError } from '../../errors.js'
import { printable } from '../../text.js'
import { print, printJson } from '../output.js'
import { nullable, object } from '../schema.js'
import { path } from '../shapes.js'
import { text } from '../values.js'
import { flag, option, verb } from '../verb.js'

export default verb({
  summary: 'boot this machine in its initrd: network, download, trust, mount, and hand over to the system',
  arguments: [],
  options: {
    sysroot: option('--sysroot <directory>', 'where the root of the system is mounted', text, '/sysroot'),
    noSwitch: flag('--no-switch', 'leave it mounted, for another program to hand over to'),
  },
  json: object({ image: nullable(path), sysroot: path }),
  examples: ['ddi-attach boot', 'ddi-attach boot --sysroot /sysroot --no-switch'],
  async run(_, { sysroot, noSwitch, json }) {
    // It changes the network, and what is mounted where.
    if (!(await exists('/etc/initrd-release')))
      throw new DdiError('ERR_DDI_USAGE', 'this is not an initrd: /etc/initrd-release is missing')
    if (!noSwitch && process.pid !== 1)
      throw new DdiError('ERR_DDI_USAGE', 'only process 1 can hand over to a system: leave that out by --no-switch')
    const image = await boot({ root: '/', sysroot, switchRoot: !noSwitch, log: openBootLog('/') })
    if (json !== 'off') printJson({ image: image?.path ?? null, sysroot }, json)
    else if (image) print(printable(image.path))
  },
})
