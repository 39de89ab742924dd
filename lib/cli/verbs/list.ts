import { list } from '../../attach/list.js'
import { printJson } from '../output.js'
import { array, boolean, nullable, object, string, word } from '../schema.js'
import { path } from '../shapes.js'
import { printTable, tableOptions } from '../table.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'list what is attached, by any process',
  arguments: [],
  options: { ...tableOptions },
  json: object({
    attachments: array(
      object({
        name: string,
        image: nullable(path),
        state: word('active', 'partial'),
        volumes: array(object({ designator: string, device: path, verified: boolean })),
        devices: array(path),
      }),
    ),
  }),
  examples: ['ddi-attach list', 'ddi-attach list -n -o NAME,DEVICE', 'ddi-attach list --json=pretty'],
  async run(_, { json, ...table }) {
    const attachments = await list()
    if (json !== 'off') {
      printJson({ attachments }, json)
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
