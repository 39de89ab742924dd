import { prepareResize } from '../../../attach/resize-file-system.js'
import { diskArgument, volumeArgument } from '../../disk-arguments.js'
import { changeDisk } from '../../disk-change.js'
import { dryRunOption } from '../../dry-run.js'
import { changedVolume } from '../../shapes.js'
import { size } from '../../values.js'
import { flag, requiredOption, verb } from '../../verb.js'

export default verb({
  summary: 'append space to a volume',
  arguments: [diskArgument, volumeArgument],
  options: {
    size: requiredOption('--size <size>', 'how much more, such as +1G', size),
    resizeFs: flag('--resize-fs', 'grow the file system of the attached volume too: ext2 to ext4, xfs, btrfs'),
    ...dryRunOption,
  },
  json: changedVolume,
  examples: ['ddi-attach volume grow disk.raw home --size +1G'],
  async run([path, name], options) {
    await changeDisk(path, options, async (disk) => {
      const volume = disk.find(name)
      const resize = options.resizeFs ? await prepareResize(disk, volume) : undefined
      const grown = await disk.grow(volume, options.size)
      if (!options.dryRun) await resize?.()
      return { volume: grown, requested: volume.size + options.size }
    })
  },
})
