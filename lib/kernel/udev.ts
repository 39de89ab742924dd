import { access } from 'node:fs/promises'
import { addon, type DmDevice } from '../../bindings/addon.js'
import { systemCode, systemError } from '../errors.js'

// Flags in the upper half of a device-mapper event number (libdevmapper.h).
const primarySource = 0x40
const disableSubsystemRules = 0x02
const disableDiskRules = 0x04
const disableOtherRules = 0x08

const secondsToWait = 10

/** A series of device-mapper changes. After `settle`, udev has handled every event of theirs. */
export interface UdevTransaction {
  /** udevd runs and makes the nodes. */
  readonly active: boolean
  /**
   * Runs an ioctl that may send an event.
   * @param inner the device is only used by others of ours: udev makes its node and does not probe it
   */
  run(inner: boolean, ioctl: (event: number) => Promise<DmDevice>): Promise<DmDevice>
  /** Waits for udev. Call it exactly once, after a failure too. */
  settle(): Promise<void>
}

/** Tells whether udevd runs as libudev does. */
async function udevRuns(): Promise<boolean> {
  try {
    await access('/run/udev/control')
    return true
  } catch {
    return false
  }
}

/** Begins a series of changes, with a cookie if udevd runs. */
export async function beginUdevTransaction(): Promise<UdevTransaction> {
  if (!(await udevRuns())) return { active: false, run: (_inner, ioctl) => ioctl(0), settle: async () => {} }
  const cookie = await addon().udevCookieCreate()
  const base = cookie & 0xffff
  const inside = disableSubsystemRules | disableDiskRules | disableOtherRules
  return {
    active: true,
    async run(inner, ioctl) {
      await addon().udevCookieAdjust(cookie, 1)
      let sent = false
      try {
        const device = await ioctl((((primarySource | (inner ? inside : 0)) << 16) | base) >>> 0)
        sent = device.eventSent
        return device
      } finally {
        // udev answers events only; without one, the count is ours to lower.
        if (!sent) await addon().udevCookieAdjust(cookie, -1)
      }
    },
    async settle() {
      try {
        await addon().udevCookieWait(cookie, secondsToWait)
      } catch (error) {
        // A udevd without device-mapper’s rules never answers. The nodes are made as if there were no udevd.
        if (systemCode(error) !== 'EAGAIN') throw systemError(error, 'cannot wait for udev')
      }
    },
  }
}
