import { diskArgument, volumeArgument } from '../../disk-arguments.js'
import { changeDisk } from '../../disk-change.js'
import { dryRunOption } from '../../dry-run.js'
import { changedVolume } from '../../shapes.js'
import { size } from '../../values.js'
import { flag, requiredOption, verb } from '../../verb.js'

export default verb({
  summary: 'cut space off the end of a volume, but never below what it holds',
  arguments: [diskArgument, volumeArgument],
  options: {
    size: requiredOption('--size <size>', 'how much less, such as 1G', size),
    force: flag('--force', 'cut off even what the volume holds'),
    ...dryRunOption,
  },
  json: changedVolume,
  examples: ['ddi-attach volume shrink disk.raw home --size 1G'],
  asks: ([path, name], { force }) =>
    force ? `Cut off the end of ${name} of ${path}, whatever lies there?` : undefined,
  async run([path, name], options) {
    const { size, force } = options
    await changeDisk(path, options, async (disk) => {
      const volume = disk.find(name)
      return { volume: await disk.shrink(volume, size, { force }), requested: volume.size - size }
    })
  },
})
