import { type FileSource, openFile } from '../../../bytes/file.js'
import { DdiError } from '../../../errors.js'
import { makeVolumeHead } from '../../../image/volume-head.js'
import { diskArgument } from '../../disk-arguments.js'
import { changeDisk } from '../../disk-change.js'
import { dryRunOption } from '../../dry-run.js'
import { given } from '../../given.js'
import { untilInterrupted } from '../../interrupt.js'
import { progressBar } from '../../progress.js'
import { changedVolume } from '../../shapes.js'
import { architectureName, label, size, text, typeName, uuid } from '../../values.js'
import { flag, option, requiredOption, verb } from '../../verb.js'

export default verb({
  summary: 'make a volume: in one run of free space if one is large enough, else as a chain of segments',
  arguments: [diskArgument],
  options: {
    type: requiredOption('--type <type>', 'root, usr, home, srv, var, linux-generic, …, or a type UUID', typeName),
    architecture: option(
      '--architecture <name>',
      'processor of the type (default: that of this machine)',
      architectureName,
    ),
    size: option('--size <size>', 'such as 512M or 2G (default: the size of --from)', size),
    label: option('--label <label>', 'at most 36 characters (default: none)', label),
    uuid: option('--uuid <uuid>', 'partition UUID (default: a random one)', uuid),
    force: flag('--force', 'even if another volume has the label'),
    from: option('--from <file>', 'initial contents of the volume', text),
    ...dryRunOption,
  },
  json: changedVolume,
  examples: [
    'ddi-attach volume create disk.raw --type root --size 2G --label acme_1.4 --from root.erofs',
    'ddi-attach volume create disk.raw --type home --size 8G --dry-run',
  ],
  async run([path], options) {
    const from: FileSource | undefined = options.from === undefined ? undefined : await openFile(options.from)
    try {
      const size = options.size ?? from?.size
      if (size === undefined) throw new DdiError('ERR_DDI_USAGE', 'give --size, or --from to take the size of a file')
      const { type, architecture, label, uuid } = options
      const head = makeVolumeHead({ type, ...given({ architecture, label, uuid }) })
      const bar = await progressBar('copying')
      const work = { signal: untilInterrupted(), onProgress: bar.update, force: options.force, ...given({ from }) }
      await changeDisk(path, options, async (disk) => {
        const volume = await disk.create(head, size, work).finally(() => bar.stop())
        return { volume, requested: size }
      })
    } finally {
      await from?.close()
    }
  },
})
