import { attach } from '../attach/attach.js'
import { untilInterrupted } from './interrupt.js'
import { dissectOptions, type ImageOptions } from './options.js'
import { formatSize, note, printJson, printTable } from './output.js'

export interface AttachVerbOptions extends ImageOptions {
  readonly name?: string
  readonly readWrite?: boolean
}

export async function runAttach(path: string, options: AttachVerbOptions): Promise<void> {
  const { name, image, volumes } = await attach(path, {
    ...dissectOptions(options),
    ...(options.name !== undefined && { name: options.name }),
    nested: options.nested ?? false,
    writable: options.readWrite ?? false,
    signal: untilInterrupted(),
  })
  for (const { designator, verified } of volumes)
    if (!verified && (designator === 'root' || designator === 'usr'))
      note(`${designator} of ${image} is not verified: no root hash is known for it`)
  if (options.json !== 'off') {
    printJson({ name, image, volumes }, options.json)
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
