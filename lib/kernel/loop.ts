import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { addon, type LoopInfo, type LoopStatus, loopFlags } from '../../bindings/addon.js'
import { DdiError, systemCode, systemError } from '../errors.js'

export interface LoopOptions {
  /** Regular file or block device. */
  readonly backing: string
  readonly readOnly: boolean
  /** In bytes. */
  readonly offset?: number
  /** In bytes; the whole of the backing file where absent. */
  readonly size?: number
  /** Logical block size in bytes. */
  readonly sectorSize: number
  /** Kept by the kernel (lo_file_name), at most 63 bytes. */
  readonly reference: string
  /** The kernel looks for partitions. */
  readonly partitionScan?: boolean
}

/** A configured loop device, held open. It goes away with its last user unless `keep` was called. */
export interface Loop extends AsyncDisposable {
  readonly device: string
  readonly number: number
  readonly fd: number
  /** In bytes. */
  readonly size: number
  /** Lets the device outlive its users; `clearLoop` detaches it then. */
  keep(): Promise<void>
  /** Gives up our hold. */
  close(): Promise<void>
}

const races = ['EBUSY', 'EAGAIN', 'ENXIO']
const mostAttempts = 200
const majorNumber = 7

/**
 * Puts a loop device over a file, or a part of it. Autoclear is on from the start, so that a killed process leaves none.
 * @param configure how; the fallback for kernels before 5.8 is chosen by itself
 * @throws ERR_DDI_NO_LOOP, ERR_DDI_NO_FREE_LOOP, ERR_DDI_PERMISSION, ERR_DDI_NOT_FOUND, ERR_DDI_KERNEL
 */
export async function attachLoop(options: LoopOptions, configure: Configure = configureAtOnce): Promise<Loop> {
  const backing = await openBacking(options)
  let control: FileHandle
  try {
    control = await open('/dev/loop-control', 'r+')
  } catch (error) {
    await backing.close()
    throw systemError(error, 'cannot open /dev/loop-control (modprobe loop?)', {
      ENOENT: 'ERR_DDI_NO_LOOP',
      ENODEV: 'ERR_DDI_NO_LOOP',
      ENXIO: 'ERR_DDI_NO_LOOP',
    })
  }
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await attachFree(control, backing, options, configure)
      } catch (error) {
        // Another process took the device between the kernel’s answer and our claim.
        if (error instanceof DdiError || !races.includes(systemCode(error) ?? '')) throw error
        if (attempt === mostAttempts)
          throw new DdiError('ERR_DDI_NO_FREE_LOOP', `no loop device could be had in ${attempt} attempts`, {
            cause: error,
          })
        await sleep(Math.random() * Math.min(attempt, 20))
      }
    }
  } catch (error) {
    throw systemError(error, `cannot put a loop device over ${options.backing}`)
  } finally {
    await control.close()
    await backing.close()
  }
}

async function openBacking({ backing, readOnly }: LoopOptions): Promise<FileHandle> {
  try {
    return await open(backing, readOnly ? constants.O_RDONLY : constants.O_RDWR)
  } catch (error) {
    throw systemError(error, `cannot open ${backing}${readOnly ? '' : ' for writing'}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
  }
}

async function attachFree(
  control: FileHandle,
  backing: FileHandle,
  options: LoopOptions,
  configure: Configure,
): Promise<Loop> {
  let number: number
  try {
    number = await addon().loopGetFree(control.fd)
  } catch (error) {
    throw systemError(error, 'no loop device is free', {
      ENOSPC: 'ERR_DDI_NO_FREE_LOOP',
      ENOMEM: 'ERR_DDI_NO_FREE_LOOP',
    })
  }
  const device = `/dev/loop${number}`
  const handle = await openNode(device)
  try {
    const { offset = 0, size = 0, sectorSize, reference, readOnly, partitionScan } = options
    const flags =
      loopFlags.autoclear | (readOnly ? loopFlags.readOnly : 0) | (partitionScan ? loopFlags.partitionScan : 0)
    const info: LoopInfo = { offset, sizeLimit: size, flags, reference }
    await configure(handle.fd, device, backing.fd, info, sectorSize)
    const geometry = await addon().blockGeometry(handle.fd, device)
    return {
      device,
      number,
      fd: handle.fd,
      size: geometry.size,
      keep: () => addon().loopSetStatus(handle.fd, device, { ...info, flags: info.flags & ~loopFlags.autoclear }),
      close: () => handle.close(),
      [Symbol.asyncDispose]: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function openNode(device: string): Promise<FileHandle> {
  // Where udev or devtmpfs makes the node it may lag a moment behind the kernel’s answer.
  for (let attempt = 1; ; attempt++) {
    try {
      return await open(device, 'r+')
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
      if (attempt === 10)
        throw new DdiError(
          'ERR_DDI_NO_FREE_LOOP',
          `the free loop device is ${device}, and there is no such node: in a container, have the host make it`,
          { cause: error },
        )
      await sleep(attempt)
    }
  }
}

export type Configure = (
  fd: number,
  device: string,
  backingFd: number,
  info: LoopInfo,
  sectorSize: number,
) => Promise<void>

/** LOOP_CONFIGURE: all in one step. Direct input and output where the backing file allows it, else without. */
const configureAtOnce: Configure = async (fd, device, backingFd, info, sectorSize) => {
  const attempts = [
    () =>
      addon().loopConfigure(fd, device, backingFd, {
        ...info,
        flags: info.flags | loopFlags.directIo,
        blockSize: sectorSize,
      }),
    () => addon().loopConfigure(fd, device, backingFd, { ...info, blockSize: sectorSize }),
    () => configureInSteps(fd, device, backingFd, info, sectorSize),
  ]
  for (const [index, attempt] of attempts.entries()) {
    try {
      return await attempt()
    } catch (error) {
      const refused = ['EINVAL', 'ENOTTY'].includes(systemCode(error) ?? '')
      if (!refused || index === attempts.length - 1) throw error
    }
  }
}

/** LOOP_SET_FD, LOOP_SET_STATUS64 and their like, for kernels before 5.8. */
export const configureInSteps: Configure = async (fd, device, backingFd, info, sectorSize) => {
  await addon().loopSetFd(fd, device, backingFd)
  try {
    await addon().loopSetStatus(fd, device, info)
    await addon().loopSetBlockSize(fd, device, sectorSize)
    await addon()
      .loopSetDirectIo(fd, device, 1)
      .catch((error: unknown) => {
        if (systemCode(error) !== 'EINVAL') throw error
      })
  } catch (error) {
    await addon().loopClearFd(fd, device)
    throw error
  }
}

export interface ListedLoop extends LoopStatus {
  readonly device: string
  /** Path of the backing file, as the kernel knows it. */
  readonly backing: string
}

/** The configured loop devices and the paths of their backing files; needs no privileges. */
export async function loopBackings(): Promise<readonly { readonly device: string; readonly backing: string }[]> {
  const names = (await readdir('/sys/block').catch(() => [] as string[])).filter((name) => /^loop\d+$/.test(name))
  const backings = await Promise.all(
    names.map(async (name) => ({
      device: `/dev/${name}`,
      // Absent where nothing is attached.
      backing: await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => ''),
    })),
  )
  return backings.flatMap(({ device, backing }) => (backing ? [{ device, backing: backing.trimEnd() }] : []))
}

/** The configured loop devices, whoever made them. @throws ERR_DDI_PERMISSION */
export async function listLoops(): Promise<readonly ListedLoop[]> {
  const loops: ListedLoop[] = []
  for (const { device, backing } of await loopBackings()) {
    try {
      const handle = await open(device, 'r')
      try {
        loops.push({ ...(await addon().loopGetStatus(handle.fd, device)), device, backing })
      } finally {
        await handle.close()
      }
    } catch (error) {
      // Detached since, or without a node here.
      if (!['ENXIO', 'ENOENT'].includes(systemCode(error) ?? '')) throw systemError(error, `cannot look at ${device}`)
    }
  }
  return loops
}

/** Detaches a loop device. One that is gone is no error. @throws ERR_DDI_BUSY, ERR_DDI_PERMISSION */
export async function clearLoop(device: string): Promise<void> {
  try {
    const handle = await open(device, 'r')
    try {
      await addon().loopClearFd(handle.fd, device)
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (['ENXIO', 'ENOENT'].includes(systemCode(error) ?? '')) return
    throw systemError(error, `cannot detach ${device}`, { EBUSY: 'ERR_DDI_BUSY' })
  }
}

/** A device number is of a loop device. */
export function isLoop(device: { readonly major: number }): boolean {
  return device.major === majorNumber
}
