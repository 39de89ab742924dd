import { parseCertificates } from '../../../lib/verity/index.js'
import type { Target } from '../target.js'

export default {
  seeds: [],
  large: ['-----BEGIN CERTIFICATE-----', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n', '-'].map(
    (text) => () => Buffer.from(text.repeat(30_000)),
  ),
  words: ['-----BEGIN CERTIFICATE-----\n', '-----END CERTIFICATE-----\n', 'MIIB', '\n'],
  run: (bytes) => parseCertificates(bytes, 'x'),
} satisfies Target
