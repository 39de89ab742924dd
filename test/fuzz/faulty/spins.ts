import type { Target } from '../target.js'

export default {
  seeds: [Buffer.from('good')],
  run(bytes) {
    const end = process.cpuUsage().user + 700_000
    while (bytes[0] !== 0x67 && process.cpuUsage().user < end);
  },
} satisfies Target
