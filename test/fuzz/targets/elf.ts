import { readFileSync } from 'node:fs'
import { memorySource } from '../../../lib/bytes/memory.js'
import { readElf } from '../../../lib/uki/elf.js'
import type { Target } from '../target.js'

export default {
  // A program of this machine, with all that the loader reads of one.
  seeds: [readFileSync('/bin/true')],
  words: ['\x7fELF', '$ORIGIN', 'libc.so.6'],
  run: (bytes) => readElf(memorySource(bytes), 'it'),
} satisfies Target
