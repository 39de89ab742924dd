import { list } from '../../attach/list.js'
import { json } from '../options.js'
import { printJson } from '../output.js'
import { printTable, tableOptions } from '../table.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'list what is attached, by any process',
  arguments: [],
  options: { ...tableOptions, ...json },
  examples: ['ddi-attach list', 'ddi-attach list -n -o NAME,DEVICE', 'ddi-attach list --json=pretty'],
  async run(_, { json, ...table }) {
    const attachments = await list()
    if (json !== 'off') {
      printJson(attachments, json)
      return
    }
    await printTable(
      ['NAME', 'STATE', 'VOLUME', 'DEVICE', 'VERIFIED', 'IMAGE'],
      attachments.flatMap(({ name, state, image, volumes }) =>
        volumes.length === 0
          ? [[name, state, null, null, null, image]]
          : volumes.map((volume) => [
              name,
              state,
              volume.designator,
              volume.device,
              volume.verified ? 'yes' : 'no',
              image,
            ]),
      ),
      table,
    )
  },
})
