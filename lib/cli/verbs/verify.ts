import { DdiError } from '../../errors.js'
import { dissect } from '../../image/dissect.js'
import type { Dissection } from '../../image/dissection.js'
import { openImage } from '../../image/open.js'
import { verify } from '../../image/verify.js'
import { type BadBlocks, nameBlocks, nameMatching } from '../bad-blocks.js'
import { untilInterrupted } from '../interrupt.js'
import { dissectOptions, imageArgument, imageOptions } from '../options.js'
import { formatSize, print, printJson } from '../output.js'
import { type BlockMap, blockMap } from '../pictures/block-map.js'
import { progressBar } from '../progress.js'
import { array, integer, object, string } from '../schema.js'
import { badBlocks, bytes, hexadecimal, path } from '../shapes.js'
import { flag, verb } from '../verb.js'

export default verb({
  summary: 'read all that a root hash covers, and name every bad block',
  arguments: [imageArgument],
  options: { map: flag('--map', 'draw which blocks are bad, over the whole of each volume'), ...imageOptions },
  json: object({
    image: path,
    volumes: array(
      object({
        designator: string,
        rootHash: hexadecimal,
        dataBlockSize: bytes,
        hashBlockSize: bytes,
        dataBlocks: integer,
        volumeSize: bytes,
        badDataBlocks: integer,
        badHashBlocks: integer,
      }),
    ),
    badBlocks: array(object({ designator: string, ...badBlocks })),
  }),
  examples: [
    'ddi-attach verify image.raw',
    'ddi-attach verify image.raw --map',
    'ddi-attach verify /dev/sda --root-hash 4f2a…',
  ],
  async run([path], options) {
    const { json, map, nested } = options
    await using image = await openImage(path, { nested })
    const dissection = await dissect(image, await dissectOptions(options))
    const bad: ({ designator: string } & BadBlocks)[] = []
    const maps = new Map(map && json === 'off' ? mapsOf(dissection) : [])
    const bar = await progressBar('verifying')
    const volumes = await verify(dissection, {
      // Text is printed at once; JSON is one value, which has to hold them all.
      onBadBlocks: (designator, blocks) => {
        maps.get(designator)?.add(blocks)
        if (json === 'off') print(nameBlocks(designator, blocks))
        else bad.push({ designator, ...blocks })
      },
      onProgress: bar.update,
      signal: untilInterrupted(),
    }).finally(() => bar.stop())
    if (json !== 'off') printJson({ image: path, volumes, badBlocks: bad }, json)
    for (const drawn of maps.values()) print(drawn.draw())
    for (const volume of volumes) {
      if (volume.badDataBlocks + volume.badHashBlocks > 0)
        throw new DdiError(
          'ERR_DDI_VERITY_CORRUPT',
          `${volume.designator} of ${path}: ${volume.badDataBlocks} of ${volume.dataBlocks} data blocks and ` +
            `${volume.badHashBlocks} hash blocks are bad: get the image again`,
        )
      const covered = volume.dataBlocks * volume.dataBlockSize
      const size = formatSize(covered)
      const ofVolume = covered < volume.volumeSize ? `${size} of ${formatSize(volume.volumeSize)}` : `all ${size}`
      if (json === 'off')
        print(nameMatching(volume.designator, volume.dataBlocks, ofVolume, `root hash ${volume.rootHash}`))
    }
  },
})

/** A map for each volume that is going to be read. */
function mapsOf({ verity }: Dissection): [string, BlockMap][] {
  return [...verity].flatMap(([designator, pair]) => {
    if (!pair.trusted) return []
    const { dataBlocks, dataBlockSize } = pair.superblock
    return [[designator, blockMap(designator, dataBlocks, dataBlockSize)]]
  })
}
