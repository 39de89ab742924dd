import { type FileSystem, probeBytes, probeFileSystem } from '../../bindings/blkid.js'
import { extentSource } from '../bytes/extents.js'
import { locate } from '../bytes/source.js'
import { foundExtents, type Volume } from '../disk/volume.js'
import type { Image } from './open.js'

/** No superblock lies further from the start of its file system. */
const superblocks = 1024 * 1024

/** The file system of a volume, as libblkid tells it: in place if its superblocks lie in one run of a file, else from a copy of them. */
export async function probe({ name, source }: Image, found: Volume): Promise<FileSystem | null> {
  const { size } = found
  if (size === 0) return null
  const volume = extentSource(source, foundExtents(found))
  const [first, second] = locate(volume) ?? []
  if (first?.kind === 'linear' && (!second || first.length >= superblocks))
    return probeFileSystem(first.base.fd, name, first.start, first.length)
  return probeBytes(await volume.read(0, Math.min(size, superblocks)), name, size)
}
