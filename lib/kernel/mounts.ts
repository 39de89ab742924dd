import { readFile, stat } from 'node:fs/promises'
import { deviceNumber } from '../bytes/file.js'

/** A mount in our mount namespace (proc(5), mountinfo). */
export interface Mount {
  readonly id: number
  /** The id of the mount that it is mounted on. */
  readonly parent: number
  /** `major:minor` of its file system. */
  readonly device: string
  readonly path: string
  readonly type: string
  /** What was mounted, by the name given to mount(2). */
  readonly source: string
}

/** All mounts, in the order in which they were made. */
export async function listMounts(): Promise<readonly Mount[]> {
  return parseMounts(await readFile('/proc/self/mountinfo', 'utf8'))
}

/** The mount point of each `major:minor` of a block device: of several, the first. */
export async function mountPoints(): Promise<ReadonlyMap<string, string>> {
  const mounts = [...(await listMounts())].reverse()
  return new Map(await Promise.all(mounts.map(async (mount) => [await mountedDevice(mount), mount.path] as const)))
}

/** `major:minor` of what was mounted. btrfs has numbers of its own, of no device: there, its path says which one it is. */
export async function mountedDevice({ device, source }: Pick<Mount, 'device' | 'source'>): Promise<string> {
  if (!device.startsWith('0:') || !source.startsWith('/dev/')) return device
  const stats = await stat(source).catch(() => undefined)
  return stats?.isBlockDevice() ? deviceNumber(stats.rdev) : device
}

/** Lines of mountinfo: `36 35 98:0 /root /mount/point options… - type source super-options`. */
export function parseMounts(text: string): readonly Mount[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const words = line.split(' ')
    const [id, parent, device = '', , path = ''] = words
    // The optional fields before the hyphen are of any number.
    const [type = '', source = ''] = words.slice(words.indexOf('-', 6) + 1)
    return {
      id: Number(id),
      parent: Number(parent),
      device,
      path: decodeOctal(path),
      type,
      source: decodeOctal(source),
    }
  })
}

/** The kernel writes spaces, tabs, newlines and backslashes in octal. */
function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
