import { once } from 'node:events'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { probeFileSystem } from '../../bindings/blkid.js'
import { packageRoot } from '../../bindings/package-root.js'
import type { AttachedVolume } from '../attach/activate.js'
import { openFile } from '../bytes/file.js'
import { DdiError, type ErrorCode, systemCode, systemError } from '../errors.js'
import { excessiveCost, isEncrypted } from '../image/luks.js'
import { deviceName } from '../image/plan.js'
import { mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'
import { startProgram } from '../tool.js'
import { throwIfAborted } from '../work.js'

/** Opens LUKS volumes: returns the passphrase, or the bytes of a key file, for each. */
export type Unlock = (volume: AttachedVolume) => Promise<Uint8Array>

/** @throws ERR_DDI_NO_DEVICE_MAPPER if the kernel has none to open LUKS volumes with */
export async function requireCrypt(image: string): Promise<void> {
  const mapper = await openDeviceMapper()
  if (!mapper)
    throw new DdiError(
      'ERR_DDI_NO_DEVICE_MAPPER',
      `this kernel has no device-mapper, which the LUKS volumes of ${image} need: modprobe dm-crypt`,
    )
  await mapper[Symbol.asyncDispose]()
}

/**
 * Opens a LUKS volume. Its device goes away with the attachment below it.
 * @returns the device to mount, and the file system in it; an empty type if there is none that we know
 * @throws ERR_DDI_FILE_SYSTEM if it encrypts nothing, or opening it would cost too much; ERR_DDI_ABORTED, ERR_DDI_PASSPHRASE, ERR_DDI_LIBRARY_MISSING, ERR_DDI_KERNEL
 */
export async function unlockVolume(
  volume: AttachedVolume,
  attachment: string,
  unlock: Unlock,
  signal?: AbortSignal,
): Promise<{ readonly device: string; readonly type: string }> {
  const name = deviceName(attachment, `${volume.node}-luks`)
  await using locked = await openFile(volume.device)
  if (!(await isEncrypted(locked)))
    throw new DdiError(
      'ERR_DDI_FILE_SYSTEM',
      `${volume.node} of ${attachment} is a LUKS volume that encrypts nothing, or not all: its cipher is the null cipher, or it was never encrypted to its end`,
    )
  const excess = await excessiveCost(locked, totalmem() / 2 / 1024)
  if (excess !== undefined)
    throw new DdiError(
      'ERR_DDI_FILE_SYSTEM',
      `${volume.node} of ${attachment} is a LUKS volume that would take too long to open, or too much memory: ${excess}`,
    )
  await activateApart([volume.device, name, volume.readOnly ? 'ro' : 'rw'], await unlock(volume), signal)
  const device = mapperPath(name)
  await using opened = await openFile(device)
  return { device, type: probeFileSystem(opened.fd, device, 0, opened.size)?.type ?? '' }
}

const program = join(packageRoot, 'dist/library/luks-process.js')

/** Opens a LUKS volume in a process of its own, which ends with the signal. @param words a device, a name, and `ro` or `rw` */
async function activateApart(
  words: readonly string[],
  passphrase: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  throwIfAborted(signal)
  const child = await startProgram([process.execPath, program, ...words], { signal })
  // If it ended before it read all, its status says more.
  child.stdin.on('error', (error) => {
    if (systemCode(error) !== 'EPIPE') child.kill()
  })
  child.stdin.end(passphrase)
  const [answer, said, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]).catch((error: unknown) => {
    throwIfAborted(signal)
    throw systemError(error, `cannot open ${words[0]}`)
  })
  throwIfAborted(signal)
  if (status === 0) return
  if (answer === '') throw new DdiError('ERR_DDI_KERNEL', `cannot open ${words[0]}: ${said.trim().slice(0, 2000)}`)
  const { code, message, ...fields } = JSON.parse(answer) as { code: ErrorCode; message: string; errno?: number }
  throw new DdiError(code, message, fields)
}
