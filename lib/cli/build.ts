import { buildImage } from '../build/image.js'
import { linear } from '../bytes/extents.js'
import { partitionTypeName } from '../gpt/dps-types.js'
import { parseSize } from '../size.js'
import { untilInterrupted } from './interrupt.js'
import { checkedUuid, type JsonOption } from './options.js'
import { describeExtents, formatSize, print, printJson, printTable } from './output.js'
import { signerOf } from './verity.js'

export interface BuildVerbOptions extends JsonOption {
  readonly definitions: string
  readonly output: string
  readonly root: string
  readonly seed?: string
  readonly size?: string
  readonly sectorSize: string
  readonly arch?: string
  readonly key?: string
  readonly signer?: string
  readonly certificate?: string
  readonly split?: boolean
  readonly force?: boolean
}

export async function runBuild(options: BuildVerbOptions): Promise<void> {
  const { certificate, seed, size, arch } = options
  const built = await buildImage(options.definitions, options.output, {
    root: options.root,
    sectorSize: parseSize(options.sectorSize),
    split: options.split ?? false,
    replace: options.force ?? false,
    signal: untilInterrupted(),
    ...(seed !== undefined && { seed: checkedUuid(seed) }),
    ...(size !== undefined && size !== 'auto' && { size: parseSize(size) }),
    ...(arch !== undefined && { architecture: arch }),
    ...(certificate !== undefined && { signer: await signerOf({ ...options, certificate }) }),
  })
  if (options.json !== 'off') {
    const partitions = built.partitions.map((one) => ({ ...one, extents: describeExtents(linear(one.extents)) }))
    printJson({ ...built, partitions }, options.json)
    return
  }
  print(`${built.path}: ${formatSize(built.size)}, GPT ${built.uuid}\n`)
  await printTable(
    ['TYPE', 'LABEL', 'SIZE', 'SEGMENTS', 'UUID', 'FILE'],
    built.partitions.map(({ typeUuid, label, size, extents, uuid, splitPath }) => [
      partitionTypeName(typeUuid) ?? typeUuid,
      label,
      formatSize(size),
      extents.length,
      uuid,
      splitPath,
    ]),
  )
  for (const rootHash of new Set(built.partitions.flatMap((one) => one.rootHash ?? [])))
    print(`\nroot hash ${rootHash}`)
}
