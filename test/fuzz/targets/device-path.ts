import { loadOptionPath, networkPath, parseDevicePath } from '../../../lib/boot/device-path.js'
import type { Target } from '../target.js'

const node = (type: number, subType: number, data: Buffer) =>
  Buffer.concat([Buffer.from([type, subType, (data.length + 4) & 255, (data.length + 4) >> 8]), data])
const path = Buffer.concat([
  node(3, 11, Buffer.alloc(33)),
  node(3, 24, Buffer.from('http://a/b.efi')),
  node(0x7f, 0xff, Buffer.alloc(0)),
])

export default {
  seeds: [path, Buffer.concat([Buffer.from([1, 0, 0, 0, path.length, 0]), Buffer.from('Net\0', 'utf16le'), path])],
  large: [() => Buffer.from('01010400'.repeat(250_000), 'hex')],
  generate: (random) =>
    Buffer.concat(
      Array.from({ length: random.below(2000) }, () =>
        node(random.of([1, 3, 4, 0x7f]), random.of([1, 24, 255]), random.bytes(random.below(9))),
      ),
    ),
  run(bytes) {
    // A load option may be what the path is not: both are tried.
    try {
      networkPath(parseDevicePath(bytes))
    } finally {
      networkPath(loadOptionPath(bytes))
    }
  },
} satisfies Target
