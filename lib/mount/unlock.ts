import { probeFileSystem } from '../../bindings/blkid.js'
import { activateLuks } from '../../bindings/cryptsetup.js'
import type { AttachedVolume } from '../attach/activate.js'
import { openFile } from '../bytes/file.js'
import { deviceName } from '../image/plan.js'
import { mapperPath } from '../kernel/device-mapper.js'

/** What opens LUKS volumes: gives the passphrase, or the bytes of a key file, for each. */
export type Unlock = (volume: AttachedVolume) => Promise<Uint8Array>

/**
 * Opens a LUKS volume. Its device goes with the attachment that it stands on.
 * @returns the device to mount, and what it holds
 * @throws ERR_DDI_PASSPHRASE, ERR_DDI_LIBRARY_MISSING, ERR_DDI_KERNEL
 */
export async function unlockVolume(
  volume: AttachedVolume,
  attachment: string,
  unlock: Unlock,
): Promise<{ readonly device: string; readonly type: string }> {
  const name = deviceName(attachment, `${volume.node}-luks`)
  await activateLuks(volume.device, name, await unlock(volume), volume.readOnly)
  const device = mapperPath(name)
  await using opened = await openFile(device)
  return { device, type: probeFileSystem(opened.fd, device, 0, opened.size)?.type ?? '' }
}
