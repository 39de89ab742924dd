import { isSparse } from '../android/sparse.js'
import { findSuper, type Super, superOn } from '../disk/super.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { openForChange } from './disk.js'

export interface OpenSuperOptions {
  /** Which slot's metadata to change, 0 for a, or that of all slots, which have to be the same. Default: 0. */
  readonly slot?: number | 'all'
  /** Label or UUID of the volume of a GPT that is the super partition. Default: the only one that is. */
  readonly volume?: string
}

const openSuperOptionNames: OptionNames<OpenSuperOptions> = { slot: true, volume: true }

/**
 * Opens an Android super partition to change its logical partitions: an image file, a block device, or a volume of a GPT.
 * @throws as `openFile` and `readSuper`; ERR_DDI_NO_VOLUME if a GPT has no such volume, or several; ERR_DDI_SPARSE_ENCODED;
 *   ERR_DDI_BUSY as `openDisk`; ERR_DDI_USAGE for an unknown option
 */
export async function openSuper(path: string, options: OpenSuperOptions = {}): Promise<Super> {
  checkOptions(options, openSuperOptionNames, 'openSuper')
  const { slot = 0, volume } = options
  return await openForChange(path, async (file, access) => {
    if (await isSparse(file))
      throw new DdiError('ERR_DDI_SPARSE_ENCODED', `${path} is an Android sparse image, which cannot be changed`)
    return await superOn(file, path, { ...access, slot, extents: await findSuper(file, path, volume) })
  })
}
