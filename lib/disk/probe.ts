import { type FileSystem, probeBytes, probeFileSystem } from '../../bindings/blkid.js'
import { locate, type Source } from '../bytes/source.js'

/** No superblock lies further from the start of its file system. */
const superblocks = 1024 * 1024

/**
 * What libblkid recognises in bytes: in place if its superblocks lie in one run of a file, else from a copy of them.
 * @param name of what the bytes are, for errors
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_IO, and what `source.read` throws
 */
export async function probe(source: Source, name: string): Promise<FileSystem | null> {
  const { size } = source
  if (size === 0) return null
  const [first, second] = locate(source) ?? []
  if (first?.kind === 'linear' && (!second || first.length >= superblocks))
    return probeFileSystem(first.base.fd, name, first.start, first.length)
  return probeBytes(await source.read(0, Math.min(size, superblocks)), name, size)
}
