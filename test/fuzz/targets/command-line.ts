import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expressionsIn, parsePullExpression } from '../../../lib/boot/pull-expression.js'
import { expressionsOf, planRequests, rootRequests } from '../../../lib/boot/requests.js'
import { parameterValues } from '../../../lib/kernel-command-line.js'
import type { Target } from '../target.js'

const root = join(tmpdir(), 'planned')
const place = { root, initrd: false, origin: async () => ({ url: 'http://h/x.efi', source: 'lease' }) as const }
/** No name leads out of the directory for its class. */
const machine = new RegExp(`^${root}/(var/lib|run)/machines/[^/]+$`)

/** The kernel's command line, and the expressions in it and in credentials. */
export default {
  seeds: [
    'quiet systemd.pull="raw,machine:a:http://x/y.raw" rd.systemd.pull=x',
    `raw,portable,verify=${'a'.repeat(64)},blockdev:name:http://h/x.raw`,
    '# comment\nraw,sysext,bootorigin,runtime=yes::\n',
  ].map((text) => Buffer.from(text)),
  large: ['"', 'a ', 'a"', 'systemd.pull=,'].map((text) => () => Buffer.from(text.repeat(300_000))),
  words: [
    'systemd.pull=',
    'raw,',
    'tar,',
    'machine',
    'verify=no',
    'ro,',
    'bootorigin,',
    'runtime=',
    '::',
    'http://',
    'file:///',
    '"',
  ],
  async run(bytes) {
    const text = bytes.toString('utf8')
    try {
      for (const one of [...parameterValues(text, 'systemd.pull'), ...expressionsIn(text)]) parsePullExpression(one)
    } finally {
      const planned = await planRequests(expressionsOf(text, text, false), place)
      for (const { path } of rootRequests(planned, text)) assert.match(path, machine)
    }
  },
} satisfies Target
