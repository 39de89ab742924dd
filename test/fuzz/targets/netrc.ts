import { credentialsIn } from '../../../lib/pull/netrc.js'
import type { Target } from '../target.js'

export default {
  seeds: [Buffer.from('machine host login a password "b c"\nmacdef x\ny\n\ndefault login x password y\n')],
  // What patterns that go back take the square of.
  large: ['\n', ' \n', 'macdef ', '"', '\\'].map((text) => () => Buffer.from(text.repeat(300_000))),
  words: ['machine ', 'host ', 'default ', 'login ', 'password ', 'account ', 'macdef x\n', '"', '\\"', '#', '\n\n'],
  run: (bytes) => credentialsIn(bytes.toString('utf8'), 'host'),
} satisfies Target
