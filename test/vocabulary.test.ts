// One vocabulary: an option of a verb has the name that the library gives it, in the words of a command line.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import type { readIndex } from '../lib/cli/verb-index.js'
import { declared, typesOf } from './support/declarations.js'
import { packageRoot } from './support/run.js'

const { verbs } = JSON.parse(readFileSync(join(packageRoot, 'dist/cli/verbs.json'), 'utf8')) as ReturnType<
  typeof readIndex
>

/** Types whose properties are options of calls, or of what calls take. */
const takesOptions =
  /(Options|^Work|^PullTarget|^NewVolume|^PartitionChoice|^NewSuperDevice|^Geometry|^NewPartition|^ErrorCorrection)$/

const names = new Set(
  [...declared()]
    .filter(
      ({ name, symbol }) =>
        takesOptions.test(name) && symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias),
    )
    .flatMap(({ symbol }) => typesOf(symbol))
    .flatMap((type) => type.getProperties().map(({ name }) => name)),
)

/** Options that systemd, cryptsetup, lpmake, curl or wget named before, and what the library calls them. */
const namedByOthers: Readonly<Record<string, string>> = {
  'auto-slot-suffixing': 'slotSuffixed',
  ca: 'authorities',
  cert: 'client',
  cmdline: 'commandLine',
  'connect-timeout': 'timeouts',
  'copy-ownership': 'ownership',
  'data-blocks': 'dataSize',
  'defer-partitions': 'defer',
  'defer-partitions-empty': 'deferEmpty',
  'defer-partitions-factory-reset': 'deferFactoryReset',
  'exclude-partitions': 'exclude',
  'fec-device': 'path',
  'fec-offset': 'hashOffset',
  'fec-roots': 'roots',
  'generate-crypttab': 'crypttab',
  'generate-fstab': 'fstab',
  hash: 'algorithm',
  'image-policy': 'policy',
  'include-partitions': 'include',
  'join-signature': 'signer',
  'key-passphrase-file': 'client',
  'metadata-slots': 'slotCount',
  key: 'signer',
  netrc: 'credentials',
  'no-superblock': 'superblock',
  'panic-on-corruption': 'onCorruption',
  'passphrase-file': 'unlock',
  'restart-on-corruption': 'onCorruption',
  'retry-until': 'retryTime',
  'stall-timeout': 'timeouts',
  'with-tar': 'tar',
}

/** Flags that turn off what a call does by default. */
const negations: Readonly<Record<string, string>> = {
  'no-check': 'check',
  'no-grow': 'grow',
  'no-switch': 'switchRoot',
}

/** Arguments of a call, calls of their own, and how the command prints. */
const ofCommand: ReadonlySet<string> = new Set(
  `all all-slots append bytes class contents definitions device-size from-cmdline install json keep listing map match no-init noheadings output
  partition progress record report resize-fs root-hash-file secure-boot-certificate secure-boot-key source super-name virtual-ab volume-type with
  with-installer quiet verbose yes`.split(/\s+/),
)

const camelCase = (long: string) => long.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())

test('an option has one name, in the library and on the command line', () => {
  const odd = verbs.flatMap(({ name: verb, options }) =>
    options
      .map(({ flags }) => /--([a-z0-9-]+)/.exec(flags)![1]!)
      .filter((long) => ![camelCase(long), `${camelCase(long)}s`].some((name) => names.has(name)))
      .filter((long) => !ofCommand.has(long) && !Object.hasOwn(namedByOthers, long) && !Object.hasOwn(negations, long))
      .map((long) => `${verb} --${long}`),
  )
  assert.deepEqual(odd, [])
  for (const name of Object.values({ ...namedByOthers, ...negations })) assert.ok(names.has(name), name)
})
