import { DdiError } from '../errors.js'
import { dissect } from '../image/dissect.js'
import { openImage } from '../image/open.js'
import { verify } from '../image/verify.js'
import { untilInterrupted } from './interrupt.js'
import { dissectOptions, type ImageOptions } from './options.js'
import { formatSize, print, printJson } from './output.js'
import { progressBar } from './progress.js'

export async function runVerify(path: string, options: ImageOptions): Promise<void> {
  await using image = await openImage(path, { nested: options.nested ?? false })
  const dissection = await dissect(image, await dissectOptions(options))
  const bad: { designator: string; level: 'data' | number; first: number; count: number }[] = []
  const bar = await progressBar('verifying')
  const volumes = await verify(dissection, {
    // As text they are told at once; JSON has to hold them, which is what was asked for.
    onBadBlocks: (designator, blocks) => {
      if (options.json === 'off') print(nameBlocks(designator, blocks))
      else bad.push({ designator, ...blocks })
    },
    onProgress: bar.update,
    signal: untilInterrupted(),
  }).finally(() => bar.stop())

  if (options.json !== 'off') printJson({ image: path, volumes, badBlocks: bad }, options.json)
  for (const volume of volumes) {
    const badBlocks = volume.badDataBlocks + volume.badHashBlocks
    if (badBlocks > 0)
      throw new DdiError(
        'ERR_DDI_VERITY_CORRUPT',
        `${volume.designator} of ${path}: ${volume.badDataBlocks} of ${volume.dataBlocks} data blocks and ` +
          `${volume.badHashBlocks} hash blocks are bad: get the image again`,
      )
    if (options.json === 'off')
      print(
        `${volume.designator}: ${volume.dataBlocks} blocks (${formatSize(volume.dataBlocks * volume.dataBlockSize)}) match root hash ${volume.rootHash}`,
      )
  }
}

export function nameBlocks(designator: string, bad: { level: 'data' | number; first: number; count: number }): string {
  const blocks = bad.count === 1 ? `block ${bad.first}` : `blocks ${bad.first}-${bad.first + bad.count - 1}`
  return bad.level === 'data' ? `${designator}: data ${blocks}` : `${designator}: hash ${blocks} (level ${bad.level})`
}
