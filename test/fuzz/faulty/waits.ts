import type { Target } from '../target.js'

export default {
  seeds: [Buffer.from('good')],
  run: (bytes) => (bytes[0] === 0x67 ? undefined : new Promise((resolve) => setTimeout(resolve, 1e9))),
} satisfies Target
