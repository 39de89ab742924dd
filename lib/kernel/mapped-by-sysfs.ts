import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DmDevice } from '../../bindings/addon.js'
import { mapperPath } from './device-mapper.js'

/** What sysfs tells anybody of a device-mapper device. */
export interface SeenDevice extends Pick<DmDevice, 'name' | 'uuid' | 'major' | 'minor' | 'active'> {
  /** `major:minor` of the devices under it. */
  readonly under: readonly string[]
}

const blocks = '/sys/block'

/** The path by which people know a device: that of device-mapper instead of the kernel's `/dev/dm-0`. */
export async function mapperName(path: string): Promise<string> {
  const device = /^\/dev\/(dm-\d+)$/.exec(path)?.[1]
  const name = device && (await readFile(join(blocks, device, 'dm/name'), 'utf8').catch(() => '')).trimEnd()
  return name ? mapperPath(name) : path
}

/** All device-mapper devices. Needs no privileges. */
export async function mappedBySysfs(): Promise<readonly SeenDevice[]> {
  const names = await readdir(blocks).catch(() => [] as string[])
  const seen = await Promise.all(names.filter((name) => /^dm-\d+$/.test(name)).map(read))
  return seen.filter((device) => device !== undefined)
}

/** @returns undefined for a device that is gone by now */
async function read(device: string): Promise<SeenDevice | undefined> {
  const folder = join(blocks, device)
  const text = async (path: string) => (await readFile(join(folder, path), 'utf8')).trimEnd()
  try {
    const [name, uuid, size, number] = await Promise.all(['dm/name', 'dm/uuid', 'size', 'dev'].map(text))
    const slaves = await readdir(join(folder, 'slaves'))
    const under = await Promise.all(slaves.map((slave) => text(join('slaves', slave, 'dev'))))
    const [major, minor] = number!.split(':').map(Number)
    // Without a table, a device has no bytes.
    return { name: name!, uuid: uuid!, major: major!, minor: minor!, active: size !== '0', under }
  } catch {
    return undefined
  }
}
