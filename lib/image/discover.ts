import { constants, type Stats } from 'node:fs'
import { access, readdir, realpath, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { systemCode, systemError } from '../errors.js'
import { type ImageClass, imageClasses } from '../image-classes.js'
import { checkOptions, type OptionNames } from '../options.js'

/** An image that lies where systemd looks for it. */
export interface DiscoveredImage {
  /** That of its file, without `.raw`. */
  readonly name: string
  readonly class: ImageClass
  readonly kind: 'raw' | 'directory' | 'block-device'
  /** Without links. */
  readonly path: string
  /** Whether its file system is. */
  readonly readOnly: boolean
}

/** Options of {@link discoverImages}. */
export interface DiscoverOptions {
  /** Those of the system. Default: unless only those of the user are asked for. */
  readonly system?: boolean
  /** Those of the user of this process, before others. Default: unless only those of the system are asked for. */
  readonly user?: boolean
}
const discoverOptionNames: OptionNames<DiscoverOptions> = { system: true, user: true }

/** Where systemd looks for images, by class, the first that has a name before others: search paths of discover-image.c. */
const ofSystem: Readonly<Record<ImageClass, readonly string[]>> = {
  machine: ['/etc', '/run', '/var/lib', '/usr/local/lib', '/usr/lib'],
  portable: ['/etc', '/run', '/var/lib', '/usr/local/lib', '/usr/lib'],
  // None below /usr, which they extend.
  sysext: ['/etc', '/run', '/var/lib'],
  confext: ['/run', '/var/lib', '/usr/local/lib', '/usr/lib'],
}

/** Users have no extensions of the system. */
function ofUser(use: ImageClass): readonly string[] {
  if (use === 'sysext' || use === 'confext') return []
  const { XDG_RUNTIME_DIR, XDG_STATE_HOME = join(homedir(), '.local/state') } = process.env
  return [...(XDG_RUNTIME_DIR ? [XDG_RUNTIME_DIR] : []), XDG_STATE_HOME, join(homedir(), '.local/lib')]
}

/**
 * Lists the images in the directories that systemd looks in, as `systemd-dissect --discover` does; nothing of them is read.
 * @returns without those of directories that this process may not read, as others than root may not read /var/lib/machines
 */
export async function discoverImages(options: DiscoverOptions = {}): Promise<readonly DiscoveredImage[]> {
  checkOptions(options, discoverOptionNames, 'discoverImages')
  const { system = !options.user, user = !options.system } = options
  const found: DiscoveredImage[] = []
  for (const use of Object.keys(imageClasses) as ImageClass[]) {
    const bases = [...(user ? ofUser(use) : []), ...(system ? ofSystem[use] : [])]
    const names = new Set<string>()
    for (const base of bases)
      for (const one of await imagesIn(join(base, basename(imageClasses[use])), use)) {
        if (!names.has(one.name)) found.push(one)
        names.add(one.name)
      }
  }
  return found
}

async function imagesIn(directory: string, use: ImageClass): Promise<readonly DiscoveredImage[]> {
  const files = await readdir(directory).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemCode(error) ?? '')) return []
    throw systemError(error, `cannot read ${directory}`)
  })
  const found: DiscoveredImage[] = []
  for (const file of files.sort()) {
    // What is hidden is not shown, nor is a link that leads nowhere.
    const path = join(directory, file)
    const stats = file.startsWith('.') ? undefined : await stat(path).catch(() => undefined)
    const kind = stats && kindOf(file, stats)
    if (!kind) continue
    const real = await realpath(path)
    const name = kind === 'raw' ? basename(file, '.raw') : file
    found.push({ name, class: use, kind, path: real, readOnly: await isReadOnly(real) })
  }
  return found
}

/** A directory of versions is no image. */
function kindOf(file: string, stats: Stats): DiscoveredImage['kind'] | undefined {
  if (stats.isFile()) return file.endsWith('.raw') ? 'raw' : undefined
  if (stats.isDirectory()) return file.endsWith('.v') ? undefined : 'directory'
  return stats.isBlockDevice() ? 'block-device' : undefined
}

async function isReadOnly(path: string): Promise<boolean> {
  return await access(path, constants.W_OK).then(
    () => false,
    (error: unknown) => systemCode(error) === 'EROFS',
  )
}
