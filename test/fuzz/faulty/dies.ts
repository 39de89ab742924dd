import type { Target } from '../target.js'

export default {
  seeds: [Buffer.from('good')],
  run(bytes) {
    if (bytes[0] !== 0x67) process.kill(process.pid, 'SIGSEGV')
  },
} satisfies Target
