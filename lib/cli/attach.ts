import type { Attachment } from '../attach/activate.js'
import { attach } from '../attach/attach.js'
import { untilInterrupted } from './interrupt.js'
import { dissectOptions, type ImageOptions, type JsonOption } from './options.js'
import { formatSize, note, printJson, printTable } from './output.js'

export interface AttachVerbOptions extends ImageOptions {
  readonly name?: string
  readonly readWrite?: boolean
  /** Labels or UUIDs. */
  readonly volume?: readonly string[]
}

export async function runAttach(path: string, options: AttachVerbOptions): Promise<void> {
  const attachment = await attach(path, {
    ...(await dissectOptions(options)),
    ...(options.name !== undefined && { name: options.name }),
    nested: options.nested ?? false,
    ...(options.volume && { volumes: options.volume }),
    writable: options.readWrite ?? false,
    signal: untilInterrupted(),
  })
  for (const { designator, verified } of attachment.volumes)
    if (!verified && (designator === 'root' || designator === 'usr'))
      note(`${designator} of ${path} is not verified: no root hash is known for it`)
  await printAttachment(attachment, options)
}

export async function printAttachment({ name, image, volumes }: Attachment, { json }: JsonOption): Promise<void> {
  if (json !== 'off') {
    printJson({ name, image, volumes }, json)
    return
  }
  await printTable(
    ['VOLUME', 'DEVICE', 'SIZE', 'FSTYPE', 'RO', 'VERIFIED'],
    volumes.map((volume) => [
      volume.node,
      volume.device,
      formatSize(volume.size),
      volume.fileSystem?.type ?? null,
      volume.readOnly ? 'yes' : 'no',
      volume.verified ? 'yes' : 'no',
    ]),
  )
}
