import { findByName, requireWhole } from '../../../disk/volume.js'
import { DdiError } from '../../../errors.js'
import { diskArgument, volumeArgument } from '../../disk-arguments.js'
import { changeDisk } from '../../disk-change.js'
import { dryRunOption } from '../../dry-run.js'
import { given } from '../../given.js'
import { changedVolume } from '../../shapes.js'
import { label, uuid } from '../../values.js'
import { flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'give a volume another label or UUID',
  arguments: [diskArgument, volumeArgument],
  options: {
    label: option('--label <label>', 'the new label', label),
    uuid: option('--uuid <uuid>', 'the new UUID; the UUIDs of its segments follow', uuid),
    force: flag('--force', 'even if another volume has the label'),
    ...dryRunOption,
  },
  json: changedVolume,
  examples: [
    'ddi-attach volume rename disk.raw acme_1.4 --label acme_1.5',
    'ddi-attach volume rename disk.raw 3 --uuid "$(uuidgen)"',
  ],
  async run([path, name], options) {
    const { label, uuid, force } = options
    if (label === undefined && uuid === undefined)
      throw new DdiError('ERR_DDI_USAGE', 'give --label or --uuid, or both')
    await changeDisk(path, options, async (disk) => {
      const volume = findByName(disk.volumes, name, path)
      if (volume.state === 'broken' && uuid !== undefined && label === undefined)
        return { volume: await disk.separate(volume, uuid), requested: null }
      const renamed = await disk.rename(requireWhole(volume), given({ label, uuid }), { force })
      return { volume: renamed, requested: null }
    })
  },
})
