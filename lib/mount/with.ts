import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openScratchDirectory } from '../bytes/scratch.js'
import type { Image } from '../image/open.js'
import { checkOptions } from '../options.js'
import { type MountedImage, mountImage } from './mount.js'
import { type MountOptions, mountOptionNames } from './options.js'

/**
 * Calls a function while an image is mounted on a directory that is made for it, which only its user may enter.
 * @param given path of an image file or block device, or an open image, which may be closed meanwhile
 * @param use gets the mounted image; its result is the call's
 * @throws what {@link mountImage}, `MountedImage.unmount` and `use` throw
 */
export async function withMount<Result>(
  given: string | Image,
  options: MountOptions,
  use: (mounted: MountedImage) => Promise<Result>,
): Promise<Result> {
  checkOptions(options, mountOptionNames, 'withMount')
  await using scratch = await openScratchDirectory(join(tmpdir(), 'ddi-with'))
  const mounted = await mountImage(given, scratch.path, options)
  try {
    return await use(mounted)
  } finally {
    await mounted.unmount()
  }
}
