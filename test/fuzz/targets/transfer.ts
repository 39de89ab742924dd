import assert from 'node:assert/strict'
import { parseLabel } from '../../../lib/store/names.js'
import { parseTransfer } from '../../../lib/store/transfer.js'
import type { Target } from '../target.js'

const specifiers = { osRelease: new Map([['IMAGE_VERSION', '@v%A']]), architecture: 'x86-64' }
const definition = [
  '[Transfer]\nMinVersion=1\nProtectVersion=%A\n',
  '[Source]\nType=url-file\nPath=https://x/\nMatchPattern=a_@v.raw.xz\n',
  '[Target]\nType=ddi-store\nPath=auto\nInstancesMax=2\n',
].join('')
const name = `a_${'1'.repeat(120)}.raw`

/** A definition of sysupdate.d, and what its patterns find in a name. */
export default {
  seeds: [Buffer.from(definition), Buffer.from(`${definition}[Source]\nMatchPattern=@h_@v_@t@s@d@l.raw`)],
  large: [
    `[Source]\nMatchPattern=${'a'.repeat(300_000)}@v\n`,
    `[Source]\nMatchPattern=${'a@v '.repeat(50_000)}\n`,
    `[Transfer]\n${'ProtectVersion=1 2 3\n'.repeat(30_000)}`,
  ].map((text) => () => Buffer.from(`${definition}${text}`)),
  words: ['@v', '@h', '@t', '@s', '@d', '@l', '@u', '@', '%A', '%', '[Source]\n', 'MatchPattern=', '_', '/', '\\\n'],
  run(bytes) {
    const transfer = parseTransfer(bytes.toString('utf8'), 'x.transfer', specifiers)
    for (const { versionIn } of transfer?.patterns.slice(0, 16) ?? []) {
      const version = versionIn(name)
      if (version !== undefined) assert.ok(parseLabel(`product_${version}`))
    }
  },
} satisfies Target
