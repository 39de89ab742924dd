import { access } from 'node:fs/promises'
import { addon, type DmDevice } from '../../bindings/addon.js'
import { systemCode, systemError } from '../errors.js'

// Flags in the upper half of a device-mapper event number (libdevmapper.h).
const primarySource = 0x40
const disableSubsystemRules = 0x02
const disableDiskRules = 0x04
const disableOtherRules = 0x08

const secondsToWait = 10

/** A stretch of device-mapper changes, at whose end udev has dealt with every event that they made. */
export interface UdevTransaction {
  /** udevd runs, and makes the nodes. */
  readonly active: boolean
  /**
   * Runs an ioctl that may send an event.
   * @param inner of a device that nobody but us looks into: udev makes its node and probes nothing
   */
  run(inner: boolean, ioctl: (event: number) => Promise<DmDevice>): Promise<DmDevice>
  /** Waits for udev. To be called exactly once, also after a failure. */
  settle(): Promise<void>
}

/** As libudev tells whether udevd runs. */
async function udevRuns(): Promise<boolean> {
  try {
    await access('/run/udev/control')
    return true
  } catch {
    return false
  }
}

/** Begins a stretch of changes, with a cookie where udevd runs. */
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
        // No event, no answer: then it is ours to give.
        if (!sent) await addon().udevCookieAdjust(cookie, -1)
      }
    },
    async settle() {
      try {
        await addon().udevCookieWait(cookie, secondsToWait)
      } catch (error) {
        // A udevd without device-mapper’s rules never answers; the nodes are made by us then, as without udevd.
        if (systemCode(error) !== 'EAGAIN') throw systemError(error, 'cannot wait for udev')
      }
    },
  }
}
