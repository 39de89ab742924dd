import assert from 'node:assert/strict'
import { moduleClosure, parseModuleIndex } from '../../../lib/uki/module-index.js'
import type { Target } from '../target.js'

/** The four files of an index, one behind the other. */
export default {
  seeds: [
    Buffer.from(
      'kernel/a.ko.xz: kernel/b.ko\nkernel/b.ko:\n\0kernel/c.ko\n\0alias pci:v* a\nalias crc b\n\0softdep a pre: crc post: b\n',
    ),
  ],
  words: ['kernel/a.ko: ', 'kernel/b.ko', '\0', '\n', 'softdep a pre: ', 'alias crc a', '..', ':'],
  large: [
    () => Buffer.from(Array.from({ length: 50_000 }, (_, index) => `m${index}.ko: m${index + 1}.ko\n`).join('')),
    () => Buffer.from('a.ko: b.ko\nb.ko: a.ko\n'),
  ],
  run(bytes) {
    const [dep = '', builtin = '', alias = '', softdep = ''] = bytes.toString('latin1').split('\0')
    const index = parseModuleIndex({ dep, builtin, alias, softdep })
    const loaded = new Set<string>()
    for (const { path, needs } of moduleClosure(index, [], [...index.modules.keys()])) {
      for (const needed of needs) assert.ok(loaded.has(needed))
      loaded.add(path)
    }
  },
} satisfies Target
