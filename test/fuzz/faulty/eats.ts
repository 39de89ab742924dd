import type { Target } from '../target.js'

export default {
  seeds: [Buffer.from('good')],
  run(bytes) {
    return bytes[0] === 0x67 ? undefined : Buffer.alloc(256 * 1024 * 1024, 1)
  },
} satisfies Target
