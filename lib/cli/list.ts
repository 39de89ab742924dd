import { list } from '../attach/list.js'
import type { JsonOption } from './options.js'
import { printJson, printTable } from './output.js'

export async function runList(options: JsonOption): Promise<void> {
  const attachments = await list()
  if (options.json !== 'off') {
    printJson(attachments, options.json)
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
  )
}
