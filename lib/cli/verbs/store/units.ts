import { basename } from 'node:path'
import { installUnits, storeUnits } from '../../../store/units.js'
import { printable } from '../../../text.js'
import { dryRunOption } from '../../dry-run.js'
import { print, printJson } from '../../output.js'
import { array, nullable, object, string } from '../../schema.js'
import { dryRun, path } from '../../shapes.js'
import { flag, verb } from '../../verb.js'

export default verb({
  summary: 'print the units that update a store every day, and say after a boot that it was a good one',
  arguments: [],
  options: {
    install: flag('--install', 'write them to /etc/systemd/system, and enable them for the next boot'),
    ...dryRunOption,
  },
  json: object({ units: array(object({ name: string, text: nullable(string), path: nullable(path) })), dryRun }),
  examples: ['ddi-attach store units', 'ddi-attach store units --install'],
  async run(_, { install, dryRun, json }) {
    const program = process.argv[1]!
    const units = install
      ? (await installUnits(program, { dryRun })).map((path) => ({ name: basename(path), text: null, path }))
      : Object.entries(storeUnits(program)).map(([name, text]) => ({ name, text, path: null }))
    if (json !== 'off') return printJson({ units, dryRun: dryRun || !install }, json)
    for (const { name, text, path } of units)
      print(
        path === null ? `# ${name}\n${text}` : `${printable(path)}${dryRun ? ': would be written and enabled' : ''}`,
      )
  },
})
