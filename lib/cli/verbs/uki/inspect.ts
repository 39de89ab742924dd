import { printable } from '../../../text.js'
import { inspectUki } from '../../../uki/inspect.js'
import { formatSize, print, printJson } from '../../output.js'
import { array, nullable, object, record, string } from '../../schema.js'
import { bytes, hexadecimal, path, sections } from '../../shapes.js'
import { isTableAlone, tableOptions } from '../../table.js'
import { printSections } from '../../uki.js'
import { argument, verb } from '../../verb.js'

export default verb({
  summary: 'show the sections of a UKI, its kernel command line, and who signed it',
  arguments: [argument('<uki>', 'unified kernel image')],
  options: tableOptions,
  json: object({
    path,
    size: bytes,
    architecture: string,
    sections,
    commandLine: nullable(string),
    osRelease: nullable(record(string)),
    kernelVersion: nullable(string),
    sbat: nullable(string),
    signatures: array(object({ subject: string, issuer: string, fingerprint: hexadecimal })),
  }),
  examples: ['ddi-attach uki inspect acme.efi', 'ddi-attach uki inspect acme.efi --json=pretty'],
  async run([path], { json, ...table }) {
    const facts = await inspectUki(path)
    if (json !== 'off') return printJson(facts, json)
    if (isTableAlone(table)) return await printSections(facts.sections, table)
    print(`${printable(path)}: ${formatSize(facts.size)}, ${facts.architecture}\n`)
    await printSections(facts.sections, table)
    const lines = {
      'kernel command line': facts.commandLine,
      kernel: facts.kernelVersion,
      system: facts.osRelease?.['PRETTY_NAME'] ?? facts.osRelease?.['NAME'] ?? null,
      'signed by': facts.signatures.map(({ subject }) => subject.replaceAll('\n', ', ')).join('; ') || null,
    }
    print(
      `\n${Object.entries(lines)
        .map(([name, value]) => `${name}: ${printable(value || '-')}`)
        .join('\n')}`,
    )
  },
})
