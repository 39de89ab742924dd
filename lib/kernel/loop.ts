import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { addon, type LoopInfo, type LoopStatus, loopFlags } from '../../bindings/addon.js'
import { deviceNumber, identify } from '../bytes/file.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { throwIfAborted } from '../work.js'

export interface LoopOptions {
  /** Regular file or block device. */
  readonly backing: string
  /** That the backing file has to have (`OpenedFile.identity`). Default: any. */
  readonly identity?: string
  readonly readOnly: boolean
  /** In bytes. Default: 0. */
  readonly offset?: number
  /** In bytes. Default: up to the end of the backing file. */
  readonly size?: number
  /** Logical block size in bytes. */
  readonly sectorSize: number
  /** Kept by the kernel (lo_file_name), at most 63 bytes. */
  readonly reference: string
  /** Lets the kernel scan for partitions. Default: false. */
  readonly partitionScan?: boolean
}

/** A configured loop device, held open. It goes away with its last user unless `keep` was called. */
export interface Loop extends AsyncDisposable {
  /** Path of its node. */
  readonly device: string
  /** `major:minor` */
  readonly deviceNumber: string
  readonly fd: number
  /** In bytes. */
  readonly size: number
  /** Lets the device outlive its users, until `clearLoop`. */
  keep(): Promise<void>
  /** Closes our descriptor. */
  close(): Promise<void>
}

const controlPath = '/dev/loop-control'
const races = ['EBUSY', 'EAGAIN', 'ENXIO']
const mostAttempts = 200
const secondsToWaitForLock = 30

function loopPath(number: number | string): string {
  return `/dev/loop${number}`
}

/**
 * Holds an exclusive lock on the loop control device until disposed. Only processes that take the lock too are kept out.
 * @throws ERR_DDI_NO_LOOP, ERR_DDI_PERMISSION, ERR_DDI_BUSY if another process holds the lock for 30 seconds,
 *   ERR_DDI_ABORTED
 */
export async function lockLoopControl(signal?: AbortSignal): Promise<AsyncDisposable> {
  const control = await openControl()
  const deadline = Date.now() + secondsToWaitForLock * 1000
  try {
    for (;;) {
      throwIfAborted(signal)
      try {
        await addon().lockExclusively(control.fd, controlPath)
        return { [Symbol.asyncDispose]: () => control.close() }
      } catch (error) {
        if (systemCode(error) !== 'EAGAIN' || Date.now() > deadline)
          throw systemError(error, `cannot lock ${controlPath}`, { EAGAIN: 'ERR_DDI_BUSY' })
      }
      await sleep(5 + Math.random() * 10)
    }
  } catch (error) {
    await control.close()
    throw error
  }
}

async function openControl(): Promise<FileHandle> {
  try {
    return await open(controlPath, 'r+')
  } catch (error) {
    throw systemError(error, `cannot open ${controlPath} (modprobe loop?)`, {
      ENOENT: 'ERR_DDI_NO_LOOP',
      ENODEV: 'ERR_DDI_NO_LOOP',
      ENXIO: 'ERR_DDI_NO_LOOP',
    })
  }
}

/**
 * Puts a loop device over a file, or a part of it. Autoclear is on from the start: a killed process leaves no device.
 * @param configure how to configure it; the default falls back by itself on kernels before 5.8
 * @throws ERR_DDI_NO_LOOP, ERR_DDI_NO_FREE_LOOP, ERR_DDI_PERMISSION, ERR_DDI_NOT_FOUND, ERR_DDI_IMAGE_CHANGED if
 *   the path leads to another file, ERR_DDI_KERNEL
 */
export async function attachLoop(options: LoopOptions, configure: Configure = configureAtOnce): Promise<Loop> {
  const backing = await openBacking(options)
  const control = await openControl().catch(async (error: unknown) => {
    await backing.close()
    throw error
  })
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await attachFree(control, backing, options, configure)
      } catch (error) {
        // Another process took the device between the kernel’s answer and our claim.
        if (error instanceof DdiError || !races.includes(systemCode(error) ?? '')) throw error
        if (attempt === mostAttempts)
          throw new DdiError(
            'ERR_DDI_NO_FREE_LOOP',
            `other processes took every free loop device in ${attempt} attempts`,
            {
              cause: error,
            },
          )
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

/**
 * Opens a file or block device for devices to stand on.
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_IMAGE_CHANGED if its path leads to another one
 */
export async function openBacking({
  backing,
  readOnly,
  identity,
}: Pick<LoopOptions, 'backing' | 'readOnly' | 'identity'>): Promise<FileHandle> {
  // Non-blocking: by now it may be a FIFO.
  const flags = (readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK | constants.O_NOCTTY
  let handle: FileHandle
  try {
    handle = await open(backing, flags)
  } catch (error) {
    throw systemError(error, `cannot open ${backing}${readOnly ? '' : ' for writing'}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
  }
  if (identity === undefined || (await identify(handle)) === identity) return handle
  await handle.close()
  throw new DdiError('ERR_DDI_IMAGE_CHANGED', `${backing} leads to another file or device than when it was read`)
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
  const device = loopPath(number)
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
      deviceNumber: deviceNumber((await handle.stat()).rdev),
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
  // The node may appear a moment after the kernel’s answer, made by udev or devtmpfs.
  for (let attempt = 1; ; attempt++) {
    try {
      return await open(device, 'r+')
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
      if (attempt === 10)
        throw new DdiError(
          'ERR_DDI_NO_FREE_LOOP',
          `the free loop device ${device} has no node: in a container, the host has to make it`,
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

/** LOOP_CONFIGURE: all in one step, with direct I/O if the backing file allows it. */
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

/** LOOP_SET_FD, LOOP_SET_STATUS64 and so on, for kernels before 5.8. */
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

/** A loop device and the path of its backing file, as the kernel knows it. */
export interface LoopBacking {
  readonly device: string
  readonly backing: string
}

export interface ListedLoop extends LoopStatus, LoopBacking {
  /** `major:minor` */
  readonly deviceNumber: string
}

/** The configured loop devices. Needs no privileges. */
export async function loopBackings(): Promise<readonly LoopBacking[]> {
  const names = (await readdir('/sys/block').catch(() => [] as string[])).filter((name) => /^loop\d+$/.test(name))
  const backings = await Promise.all(
    names.map(async (name) => ({
      device: loopPath(name.slice('loop'.length)),
      // The file exists only while the device is configured.
      backing: await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => ''),
    })),
  )
  return backings.flatMap(({ device, backing }) => (backing ? [{ device, backing: backing.trimEnd() }] : []))
}

/** The configured loop devices with their status. @throws ERR_DDI_PERMISSION */
export async function listLoops(): Promise<readonly ListedLoop[]> {
  const loops: ListedLoop[] = []
  for (const { device, backing } of await loopBackings()) {
    try {
      const handle = await open(device, 'r')
      try {
        const status = await addon().loopGetStatus(handle.fd, device)
        loops.push({ ...status, device, deviceNumber: deviceNumber((await handle.stat()).rdev), backing })
      } finally {
        await handle.close()
      }
    } catch (error) {
      // Detached since, or without a node here.
      if (!['ENXIO', 'ENOENT'].includes(systemCode(error) ?? '')) throw systemError(error, `cannot query ${device}`)
    }
  }
  return loops
}

/** Detaches a loop device; does nothing if it is not configured. @throws ERR_DDI_BUSY, ERR_DDI_PERMISSION */
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
