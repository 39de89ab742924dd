import { parameterValues } from '../../../lib/boot/command-line.js'
import { expressionsIn, parsePullExpression } from '../../../lib/boot/pull-expression.js'
import type { Target } from '../target.js'

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
  run(bytes) {
    const text = bytes.toString('utf8')
    for (const one of [...parameterValues(text, 'systemd.pull'), ...expressionsIn(text)]) parsePullExpression(one)
  },
} satisfies Target
