import { type FileHandle, open, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { addon, type DmDevice, type DmDeviceNumber } from '../../bindings/addon.js'
import { deviceNumber } from '../bytes/file.js'
import { makeDirectories } from '../bytes/new-file.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { formatTable, parseTable, type TableTarget } from './targets.js'
import type { UdevTransaction } from './udev.js'

const control = mapperPath('control')

/** The node of a device. No other code spells this path. */
export function mapperPath(name: string): string {
  return `/dev/mapper/${name}`
}

/** `major:minor`, as tables name devices. */
export function formatDevice({ major, minor }: DmDeviceNumber): string {
  return `${major}:${minor}`
}

export interface NewDevice {
  readonly name: string
  readonly uuid: string
  readonly targets: readonly TableTarget[]
  readonly readOnly: boolean
  /** Only other devices use it. */
  readonly inner: boolean
  /** A key that the kernel looks up while it loads the table. */
  readonly key?: { readonly description: string; readonly bytes: Uint8Array }
}

/** Device-mapper’s control node, open. Devices are found by their names. */
export interface DeviceMapper extends AsyncDisposable {
  /** Versions of the targets that are loaded now, by their names. */
  targetVersions(): Promise<Readonly<Record<string, string>>>
  /**
   * Makes a device with a live table; if that fails, leaves none. The device has a node after `ensureNode`.
   * @throws ERR_DDI_NAME_IN_USE, ERR_DDI_MISSING_TARGET, ERR_DDI_BUSY if somebody else holds a device under it, ERR_DDI_PERMISSION, ERR_DDI_KERNEL
   */
  create(device: NewDevice, udev: UdevTransaction): Promise<DmDevice>
  /** Replaces the live table of a device; I/O waits meanwhile. @throws ERR_DDI_KERNEL */
  reload(name: string, targets: readonly TableTarget[], readOnly: boolean, udev: UdevTransaction): Promise<void>
  /**
   * Removes a device, if there is one.
   * @param deferred remove a device in use as soon as its last user is gone
   * @throws ERR_DDI_BUSY, ERR_DDI_KERNEL
   */
  remove(name: string, udev: UdevTransaction, deferred?: boolean): Promise<void>
  /** Makes the node of a device if udev did not. */
  ensureNode(device: DmDevice): Promise<void>
  /** Removes the node of a device if udev did not. */
  dropNode(device: DmDevice): Promise<void>
  /** All devices whose UUID starts with `uuidPrefix`. */
  list(uuidPrefix: string): Promise<readonly DmDevice[]>
  /** A device as it is now; undefined if there is none. */
  find(name: string): Promise<DmDevice | undefined>
  /** The live table of a device; empty if there is no such device. */
  table(name: string): Promise<readonly TableTarget[]>
  /** The devices directly under a device; none if there is no such device. */
  dependencies(name: string): Promise<readonly DmDeviceNumber[]>
}

/**
 * Opens device-mapper’s control node.
 * @returns undefined if the kernel has no device-mapper
 * @throws ERR_DDI_PERMISSION
 */
export async function openDeviceMapper(): Promise<DeviceMapper | undefined> {
  let handle: FileHandle
  try {
    handle = await open(control, 'r+')
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'ENXIO'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot open ${control}`)
  }
  return new OpenDeviceMapper(handle)
}

/** How the kernel refuses a root hash signature (drivers/md/dm-verity-verify-sig.c, crypto/asymmetric_keys). */
const refusedSignature = {
  ENOKEY: 'ERR_DDI_SIGNATURE_KERNEL',
  EKEYREJECTED: 'ERR_DDI_SIGNATURE_KERNEL',
  EBADMSG: 'ERR_DDI_SIGNATURE_KERNEL',
  EINVAL: 'ERR_DDI_SIGNATURE_KERNEL',
  ENOPKG: 'ERR_DDI_SIGNATURE_KERNEL',
} as const

class OpenDeviceMapper implements DeviceMapper {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  get #fd(): number {
    return this.#handle.fd
  }

  async targetVersions(): Promise<Readonly<Record<string, string>>> {
    return await addon().dmTargetVersions(this.#fd)
  }

  async create(device: NewDevice, udev: UdevTransaction): Promise<DmDevice> {
    const { name, uuid, targets, readOnly, inner, key } = device
    try {
      await addon().dmCreate(this.#fd, name, uuid)
    } catch (error) {
      throw systemError(error, `cannot create device ${name}`, { EBUSY: 'ERR_DDI_NAME_IN_USE' })
    }
    try {
      await this.#load(name, targets, readOnly, key)
      return await udev.run(inner, (event) => addon().dmResume(this.#fd, name, event))
    } catch (error) {
      await addon()
        .dmRemove(this.#fd, name, false, 0)
        .catch(() => {
          // The first error is the one to report; `list` shows what is left of the device, and `detach` removes it.
        })
      throw systemError(error, `cannot activate device ${name}`)
    }
  }

  async #load(name: string, targets: readonly TableTarget[], readOnly: boolean, key?: NewDevice['key']): Promise<void> {
    const table = formatTable(targets)
    try {
      await addon().dmLoad(this.#fd, name, table, readOnly, key)
    } catch (error) {
      const known = await this.targetVersions()
      const missing = table.find(({ type }) => !(type in known))?.type
      if (missing)
        throw new DdiError('ERR_DDI_MISSING_TARGET', `device-mapper has no ${missing} target: modprobe dm-${missing}`, {
          cause: error,
        })
      const lines = table.map((one) => `${one.startSector} ${one.sectorCount} ${one.type} ${one.parameters}`)
      throw systemError(error, `the kernel refused the table of ${name} (${lines.join('; ')}); its log may say why`, {
        EBUSY: 'ERR_DDI_BUSY',
        ...(key && refusedSignature),
      })
    }
  }

  async reload(name: string, targets: readonly TableTarget[], readOnly: boolean, udev: UdevTransaction): Promise<void> {
    await this.#load(name, targets, readOnly)
    try {
      await addon().dmSuspend(this.#fd, name)
    } catch (error) {
      throw systemError(error, `cannot suspend device ${name}`)
    }
    try {
      await udev.run(false, (event) => addon().dmResume(this.#fd, name, event))
    } catch (error) {
      throw systemError(error, `cannot resume device ${name}`)
    }
  }

  async remove(name: string, udev: UdevTransaction, deferred = false): Promise<void> {
    // udev and programs that follow its events open devices for a moment.
    const attempts = udev.active ? 40 : 5
    for (let attempt = 1; ; attempt++) {
      try {
        await udev.run(false, (event) => addon().dmRemove(this.#fd, name, deferred, event))
        return
      } catch (error) {
        const code = systemCode(error)
        if (code === 'ENXIO') return
        if (code !== 'EBUSY' || attempt === attempts)
          throw systemError(error, `cannot remove device ${name}`, { EBUSY: 'ERR_DDI_BUSY' })
        await sleep(5 * attempt)
      }
    }
  }

  async ensureNode(device: DmDevice): Promise<void> {
    const path = mapperPath(device.name)
    if (await names(path, device)) return
    await makeDirectories(dirname(path))
    await rm(path, { force: true })
    await addon().makeBlockNode(path, device.major, device.minor)
  }

  async dropNode(device: DmDevice): Promise<void> {
    const path = mapperPath(device.name)
    if (await names(path, device)) await rm(path, { force: true })
  }

  async list(uuidPrefix: string): Promise<readonly DmDevice[]> {
    const devices: DmDevice[] = []
    for (const { name } of await addon().dmList(this.#fd)) {
      try {
        const device = await addon().dmInfo(this.#fd, name)
        if (device.uuid.startsWith(uuidPrefix)) devices.push(device)
      } catch (error) {
        // Removed since it was listed.
        if (systemCode(error) !== 'ENXIO') throw systemError(error, `cannot query device ${name}`)
      }
    }
    return devices
  }

  async find(name: string): Promise<DmDevice | undefined> {
    try {
      return await addon().dmInfo(this.#fd, name)
    } catch (error) {
      if (systemCode(error) === 'ENXIO') return undefined
      throw systemError(error, `cannot look at device ${name}`)
    }
  }

  async table(name: string): Promise<readonly TableTarget[]> {
    try {
      return parseTable(await addon().dmStatus(this.#fd, name, 'table'))
    } catch (error) {
      if (systemCode(error) === 'ENXIO') return []
      throw systemError(error, `cannot read the table of ${name}`)
    }
  }

  async dependencies(name: string): Promise<readonly DmDeviceNumber[]> {
    try {
      // A table that was loaded but never made live holds its devices too.
      const live = await addon().dmDependencies(this.#fd, name, 'live')
      return [...live, ...(await addon().dmDependencies(this.#fd, name, 'inactive'))]
    } catch (error) {
      if (systemCode(error) === 'ENXIO') return []
      throw systemError(error, `cannot query the devices under ${name}`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

/** Whether a path is a node of a device, or a link to one. */
async function names(path: string, device: DmDeviceNumber): Promise<boolean> {
  try {
    const stats = await stat(path)
    return stats.isBlockDevice() && deviceNumber(stats.rdev) === formatDevice(device)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw systemError(error, `cannot query ${path}`)
  }
}
