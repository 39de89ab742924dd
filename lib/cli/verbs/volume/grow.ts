import { probeFileSystem } from '../../../../bindings/blkid.js'
import { attachedDevice } from '../../../attach/disk.js'
import { prepareResize } from '../../../attach/resize-file-system.js'
import { openFile } from '../../../bytes/file.js'
import type { Disk } from '../../../disk/disk.js'
import { DdiError } from '../../../errors.js'
import { changeDisk, diskArgument, volumeArgument } from '../../disk-change.js'
import { json } from '../../options.js'
import { size } from '../../values.js'
import { flag, requiredOption, verb } from '../../verb.js'

export default verb({
  summary: 'append space to a volume',
  arguments: [diskArgument, volumeArgument],
  options: {
    size: requiredOption('--size <size>', 'how much more, such as +1G', size),
    resizeFs: flag('--resize-fs', 'grow the file system of the attached volume too: ext2 to ext4, xfs, btrfs'),
    ...json,
  },
  examples: ['ddi-attach volume grow disk.raw home --size +1G'],
  async run([path, name], options) {
    await changeDisk(path, options, async (disk) => {
      const resize = options.resizeFs ? await resizeOf(disk, name) : undefined
      const volume = await disk.grow(disk.find(name), options.size)
      await resize?.()
      return volume
    })
  },
})

/** Finds out how the file system of an attached volume is resized, before anything changes. */
async function resizeOf(disk: Disk, name: string): Promise<() => Promise<void>> {
  const device = await attachedDevice(disk.find(name), disk.path)
  if (device === undefined)
    throw new DdiError('ERR_DDI_NOT_ATTACHED', `${name} is not attached, and its file system is resized on its device`)
  await using source = await openFile(device)
  return await prepareResize(device, probeFileSystem(source.fd, device, 0, source.size)?.type ?? null)
}
