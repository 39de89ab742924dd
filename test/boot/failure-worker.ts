// Process 1 of a PID namespace, which is all that reboot(2) ends there; anywhere else it would end the machine.
import { readlinkSync } from 'node:fs'
import { openBootLog } from '../../lib/boot/boot-log.js'
import { actOnFailure } from '../../lib/boot/failure.js'

const [outside = '', root = '', commandLine = ''] = process.argv.slice(2)
if (process.pid !== 1 || readlinkSync('/proc/self/ns/pid') === outside || outside === '')
  throw new Error('not in a PID namespace')
const error = Object.assign(
  new Error('no \u001b[31mserver'),
  commandLine.includes('unforeseen') ? {} : { code: 'ERR_DDI_NETWORK' },
)
await actOnFailure({ root, log: openBootLog(root) }, error, commandLine)
