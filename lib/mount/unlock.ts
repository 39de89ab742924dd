import { probeFileSystem } from '../../bindings/blkid.js'
import { activateLuks } from '../../bindings/cryptsetup.js'
import type { AttachedVolume } from '../attach/activate.js'
import { openFile } from '../bytes/file.js'
import { DdiError } from '../errors.js'
import { isEncrypted } from '../image/luks.js'
import { deviceName } from '../image/plan.js'
import { mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'

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
 * @throws ERR_DDI_FILE_SYSTEM if it encrypts nothing, ERR_DDI_PASSPHRASE, ERR_DDI_LIBRARY_MISSING, ERR_DDI_KERNEL
 */
export async function unlockVolume(
  volume: AttachedVolume,
  attachment: string,
  unlock: Unlock,
): Promise<{ readonly device: string; readonly type: string }> {
  const name = deviceName(attachment, `${volume.node}-luks`)
  await using locked = await openFile(volume.device)
  if (!(await isEncrypted(locked)))
    throw new DdiError(
      'ERR_DDI_FILE_SYSTEM',
      `${volume.node} of ${attachment} is a LUKS volume that encrypts nothing, or not all: its cipher is the null cipher, or it was never encrypted to its end`,
    )
  await activateLuks(volume.device, name, await unlock(volume), volume.readOnly)
  const device = mapperPath(name)
  await using opened = await openFile(device)
  return { device, type: probeFileSystem(opened.fd, device, 0, opened.size)?.type ?? '' }
}
