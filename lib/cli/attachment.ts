import type { Attachment } from '../attach/activate.js'
import { printJson } from './output.js'
import { printTable, type TableValues } from './table.js'
import type { JsonValues } from './verb.js'

export async function printAttachment(
  { name, image, volumes }: Attachment,
  { json, output, noheadings, bytes }: JsonValues & Required<TableValues>,
): Promise<void> {
  if (json !== 'off') {
    printJson({ name, image, volumes }, json)
    return
  }
  await printTable(
    ['VOLUME', 'DEVICE', 'SIZE', 'FSTYPE', 'RO', 'VERIFIED'],
    volumes.map((volume) => [
      volume.node,
      volume.device,
      { bytes: volume.size },
      volume.fileSystem?.type ?? null,
      volume.readOnly ? 'yes' : 'no',
      volume.verified ? 'yes' : 'no',
    ]),
    { output, noheadings, bytes },
  )
}
