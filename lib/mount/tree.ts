import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copy } from '../bytes/copy.js'
import { extentSource } from '../bytes/extents.js'
import { writeNewFile } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import { dissect } from '../image/dissect.js'
import { openImage } from '../image/open.js'
import { runTool } from '../tool.js'
import { mountable } from './arguments.js'
import { extractExt4 } from './ext4.js'
import { mountImage } from './mount.js'
import type { MountOptions } from './options.js'
import { openRoot, type Root } from './root.js'

/** How a tree came to be readable: mounted, or taken out by the file system’s own tool. */
export type TreeSource = { readonly kind: 'mount' } | { readonly kind: 'tool'; readonly tool: string }

interface Extractor {
  readonly tool: string
  /** Makes the folder, with the files of a file system in it. */
  readonly extract: (volume: string, folder: string, signal?: AbortSignal) => Promise<unknown>
}

/** What takes a file system out of a file without privileges, and writes nowhere else whatever the file system says. */
const extractors: Readonly<Record<string, Extractor>> = {
  erofs: {
    tool: 'fsck.erofs',
    extract: (volume, folder, signal) =>
      runTool({ command: ['fsck.erofs', `--extract=${folder}`, volume], package: 'erofs-utils' }, signal),
  },
  squashfs: {
    tool: 'unsquashfs',
    extract: (volume, folder, signal) =>
      runTool(
        {
          command: ['unsquashfs', '-quiet', '-no-progress', '-no-xattrs', '-dest', folder, volume],
          package: 'squashfs-tools',
        },
        signal,
      ),
  },
  ext4: { tool: 'debugfs', extract: extractExt4 },
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
  await extractor.extract(file, join(folder, 'tree'), options.signal)
  return extractor.tool
}
