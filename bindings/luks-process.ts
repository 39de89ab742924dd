// A program: opens one LUKS volume. Deriving a key takes as long as the header says, and no call ends it but that of a process.
import { buffer } from 'node:stream/consumers'
import { DdiError } from '../lib/errors.js'
import { activateLuks } from './cryptsetup.js'

const [device, name, access] = process.argv.slice(2)
try {
  await activateLuks(device!, name!, await buffer(process.stdin), access === 'ro')
} catch (error) {
  const { code, message, errno } = error instanceof DdiError ? error : new DdiError('ERR_DDI_KERNEL', String(error))
  process.stdout.write(JSON.stringify({ code, message, errno }))
  process.exitCode = 1
}
