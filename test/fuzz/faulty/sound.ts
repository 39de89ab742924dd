import { DdiError } from '../../../lib/errors.js'
import type { Target } from '../target.js'

export default {
  seeds: [Buffer.from('good')],
  run(bytes) {
    if (bytes[0] !== 0x67) throw new DdiError('ERR_DDI_USAGE', 'it is not a g')
  },
} satisfies Target
