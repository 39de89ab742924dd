import { findSuper, type Super, superOn } from '../disk/super.js'
import { checkOptions, type OptionNames } from '../options.js'
import { openEncoded } from './encoded-super.js'
import { type ChangedFile, type DryRunOptions, dryRunNames, type Opened, openForChange } from './open-for-change.js'

/** Options of {@link openSuper}. */
export interface OpenSuperOptions extends DryRunOptions {
  /** Which slot's metadata to change, 0 for a, or that of all slots, which have to be the same. Default: 0. */
  readonly slot?: number | 'all'
  /** Label or UUID of the volume of a GPT that is the super partition. Default: the only one that is. */
  readonly volume?: string
}

const openSuperOptionNames: OptionNames<OpenSuperOptions> = { ...dryRunNames, slot: true, volume: true }

/**
 * Opens an Android super partition to change its logical partitions: an image file, a block device, or a volume of a GPT. An image
 * that is stored in another form, sparse or as a super_empty.img, is written anew for each change, and takes the place of the file
 * when it is whole. A super_empty.img has one metadata, that of every slot.
 * @throws as `openFile` and `readSuper`; ERR_DDI_NO_VOLUME if a GPT has no such volume, or several; ERR_DDI_SPARSE_ENCODED on a
 *   block device; ERR_DDI_BUSY as `openDisk`; ERR_DDI_USAGE for an unknown option
 */
export async function openSuper(path: string, options: OpenSuperOptions = {}): Promise<Super> {
  checkOptions(options, openSuperOptionNames, 'openSuper')
  const { slot = 0, volume, dryRun } = options
  const open = async (file: ChangedFile, opened: Opened) => {
    const encoded = await openEncoded(file, path, opened.dryRun)
    if (!encoded) return await superOn(file, path, { ...opened, slot, extents: await findSuper(file, path, volume) })
    const { target, changed, form } = encoded
    const close = async () => {
      await encoded.close()
      await opened.close()
    }
    try {
      const extents = await findSuper(target, path, volume)
      const slots = form === 'metadata' ? 'all' : slot
      return await superOn(target, path, { ...opened, changed, close, slot: slots, extents })
    } catch (error) {
      await encoded.close()
      throw error
    }
  }
  return await openForChange(path, open, dryRun)
}
