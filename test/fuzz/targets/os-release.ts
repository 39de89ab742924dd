import { parseOsRelease } from '../../../lib/image/os-release.js'
import type { Target } from '../target.js'

export default {
  seeds: [Buffer.from('NAME="x y"\nID=\'a\'\nB=a\\$b\nSYSEXT_LEVEL=1.0\n')],
  large: [`A=${' '.repeat(300_000)}x`, 'A="'.repeat(100_000), `A=${'\\'.repeat(300_000)}`].map(
    (text) => () => Buffer.from(text),
  ),
  words: ['NAME=', '"', "'", '\\"', '\\', '\n', ' '],
  run: (bytes) => parseOsRelease(bytes.toString('utf8')),
} satisfies Target
