import { installUnits, storeUnits } from '../../../store/units.js'
import { printable } from '../../../text.js'
import { print } from '../../output.js'
import { flag, verb } from '../../verb.js'

export default verb({
  summary: 'print the units that update a store every day, and say after a boot that it was a good one',
  arguments: [],
  options: { install: flag('--install', 'write them to /etc/systemd/system, and enable them for the next boot') },
  examples: ['ddi-attach store units', 'ddi-attach store units --install'],
  async run(_, { install }) {
    const program = process.argv[1]!
    if (install) for (const path of await installUnits(program)) print(printable(path))
    else for (const [name, text] of Object.entries(storeUnits(program))) print(`# ${name}\n${text}`)
  },
})
