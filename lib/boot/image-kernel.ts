import { constants } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { listMounts } from '../kernel/mounts.js'
import { isWithin } from '../mount/entries.js'
import { isMissing, openRoot, type Root } from '../mount/root.js'
import { inspectUki } from '../uki/inspect.js'
import { compareVersions } from '../version.js'

/** A kernel that an image brings; paths as this initrd sees them. */
export interface ImageKernel {
  /** As `uname -r` will say it. */
  readonly version: string
  /** A kernel, or a UKI with one. */
  readonly path: string
  readonly kind: 'kernel' | 'uki'
  /** Whether it is a UKI with an initrd, which is to be used then. */
  readonly hasInitrd: boolean
  /** The directory of its modules; null if the image has none. */
  readonly modulesFrom: string | null
}

const modulesPath = 'usr/lib/modules'
/** UAPI.1, Boot Loader Specification: of an image whose policy has its EFI partition mounted, that is in one of these. */
const ukiPaths = ['boot/EFI/Linux', 'efi/EFI/Linux'] as const

/**
 * Finds the newest kernel of an image that is mounted: `/usr/lib/modules/VERSION/vmlinuz`, or else a UKI.
 * @param sysroot where the image is mounted
 * @param everywhere takes kernels from what no root hash covers, too; else those of root and /usr count
 */
export async function findImageKernel(sysroot: string, everywhere: boolean): Promise<ImageKernel | undefined> {
  await using root = await openRoot(sysroot)
  const covered = everywhere ? undefined : await coveredPlaces(sysroot)
  const at = async (path: string) => await placeIn(root, path, covered)
  const kernels: ImageKernel[] = []
  for (const version of await namesIn(root, modulesPath)) {
    const path = await at(`${modulesPath}/${version}/vmlinuz`)
    const modulesFrom = await at(`${modulesPath}/${version}`)
    if (path !== undefined && modulesFrom !== undefined)
      kernels.push({ version, path, kind: 'kernel', hasInitrd: false, modulesFrom })
  }
  if (kernels.length === 0)
    for (const directory of ukiPaths)
      for (const name of await namesIn(root, directory)) {
        const path = name.endsWith('.efi') ? await at(`${directory}/${name}`) : undefined
        const uki = path === undefined ? undefined : await describeUki(path)
        if (uki) kernels.push({ ...uki, modulesFrom: (await at(`${modulesPath}/${uki.version}`)) ?? null })
      }
  return kernels.sort((a, b) => compareVersions(b.version, a.version))[0]
}

async function describeUki(path: string): Promise<Omit<ImageKernel, 'modulesFrom'> | undefined> {
  const { kernelVersion, sections } = await inspectUki(path)
  const has = (name: string) => sections.some((one) => one.name === name)
  if (kernelVersion === null || !has('.linux')) return undefined
  return { version: kernelVersion, path, kind: 'uki', hasInitrd: has('.initrd') }
}

/** The names in a directory of an image; none if it has no such directory. */
async function namesIn(root: Root, path: string): Promise<readonly string[]> {
  try {
    await using directory = await root.open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    return await readdir(directory.path)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Where a path of an image leads, if that is there and may be used. */
async function placeIn(
  root: Root,
  path: string,
  isCovered: ((place: string) => boolean) | undefined,
): Promise<string | undefined> {
  try {
    await using opened = await root.open(path)
    const place = await opened.realPath()
    return !isCovered || isCovered(place) ? place : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/**
 * Which places a root hash covers, of an image that one vouches for: all of the file systems of root and /usr, and nothing that is
 * mounted besides.
 */
async function coveredPlaces(sysroot: string): Promise<(place: string) => boolean> {
  const own = [sysroot, join(sysroot, 'usr')]
  const others = (await listMounts()).map(({ path }) => path).filter((path) => isWithin(path, sysroot))
  return (place) => {
    const mounts = others.filter((path) => isWithin(place, path)).sort((a, b) => b.length - a.length)
    return mounts[0] !== undefined && own.includes(mounts[0])
  }
}
