import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copy } from '../block/copy.js'
import { extentSource } from '../block/extents.js'
import { writeNewFile } from '../block/new-file.js'
import { DdiError } from '../errors.js'
import { dissect } from '../image/dissect.js'
import { openImage } from '../image/open.js'
import { runTool, type Tool } from '../tool.js'
import { type MountOptions, mountImage } from './mount.js'
import { mountable } from './options.js'
import { openRoot, type Root } from './root.js'

/** How a tree came to be readable: mounted, or taken out by the file system’s own tool. */
export type TreeSource = { readonly kind: 'mount' } | { readonly kind: 'tool'; readonly tool: string }

/** Tools that take a file system out of a file without privileges. */
const extractors: Readonly<Record<string, (volume: string, folder: string) => Tool>> = {
  erofs: (volume, folder) => ({
    command: ['fsck.erofs', `--extract=${folder}`, '--overwrite', volume],
    package: 'erofs-utils',
  }),
  squashfs: (volume, folder) => ({
    command: ['unsquashfs', '-force', '-quiet', '-no-progress', '-no-xattrs', '-dest', folder, volume],
    package: 'squashfs-tools',
  }),
  ext4: (volume, folder) => ({ command: ['debugfs', '-R', `rdump / "${folder}"`, volume], package: 'e2fsprogs' }),
}

/**
 * Lets a function read the files of an image, whose links lead nowhere else: mounted for just that time where we may mount,
 * else what the root file system’s own tool takes out of it.
 * @param options `writable` needs a mount
 * @throws what `mountImage` throws; ERR_DDI_PERMISSION without privileges where no tool reads the file system, or something is to be written
 */
export async function withTree<Result>(
  path: string,
  options: MountOptions,
  use: (root: Root, source: TreeSource) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'ddi-tree-'))
  if (process.geteuid?.() === 0) {
    try {
      const mounted = await mountImage(path, folder, options)
      try {
        await using root = await openRoot(folder)
        return await use(root, { kind: 'mount' })
      } finally {
        await mounted.unmount()
      }
    } finally {
      await rmdir(folder)
    }
  }
  try {
    const tool = await extract(path, folder, options)
    await using root = await openRoot(join(folder, 'tree'))
    return await use(root, { kind: 'tool', tool })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function extract(path: string, folder: string, options: MountOptions): Promise<string> {
  if (options.writable)
    throw new DdiError('ERR_DDI_PERMISSION', `${path} can be written only where it can be mounted (run as root?)`)
  await using image = await openImage(path, options)
  const { roles } = await dissect(image, { probe: 'used', ...options })
  const volume = roles.get('root') ?? roles.get('usr')
  const type = volume?.fileSystem?.type ?? ''
  const extractor = extractors[type]
  if (!volume || !extractor)
    throw new DdiError(
      mountable.some((one) => one === type) ? 'ERR_DDI_PERMISSION' : 'ERR_DDI_FILE_SYSTEM',
      `${path}: without privileges ${Object.keys(extractors).join(', ')} are read, and its root is ${type || 'not known'}`,
    )
  const file = join(folder, 'volume')
  const source = extentSource(image.source, volume.extents)
  await writeNewFile(file, source.size, (target) =>
    copy(source, target, { sparse: true, ...(options.signal && { signal: options.signal }) }),
  )
  const tree = join(folder, 'tree')
  const tool = extractor(file, tree)
  if (type === 'ext4') await runTool({ command: ['mkdir', tree], package: 'coreutils' })
  await runTool(tool, options.signal)
  return tool.command[0]
}
