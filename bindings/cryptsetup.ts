import { constants } from 'node:os'
import { DdiError } from '../lib/errors.js'
import { type Addon, addon } from './addon.js'
import { missingLibrary } from './library.js'

/**
 * Opens a LUKS2 device under a name in /dev/mapper.
 * @param device path of the device with the header
 * @param passphrase or the bytes of a key file
 * @throws ERR_DDI_PASSPHRASE if no key slot accepts it, ERR_DDI_LIBRARY_MISSING, ERR_DDI_KERNEL with the errno
 */
export async function activateLuks(
  device: string,
  name: string,
  passphrase: Uint8Array,
  readOnly: boolean,
): Promise<void> {
  await onHeader(device, async (native) => await native.activateLuks(device, name, passphrase, readOnly))
}

/**
 * Has every activation of a LUKS2 volume pass discards on, by a flag in its header.
 * @param device path of the device or file with the header
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_KERNEL with the errno
 */
export async function persistDiscards(device: string): Promise<void> {
  await onHeader(device, async (native) => await native.persistLuksDiscards(device))
}

async function onHeader(device: string, work: (native: Addon) => Promise<void>): Promise<void> {
  const native = addon()
  try {
    await work(native)
  } catch (error) {
    const { errno, syscall } = error as NodeJS.ErrnoException
    if (errno === undefined)
      throw missingLibrary(error, 'libcryptsetup.so.12', 'libcryptsetup12 (Debian) or cryptsetup-libs')
    const [code, message] =
      errno === -constants.errno.EPERM && syscall === 'crypt_activate_by_passphrase'
        ? (['ERR_DDI_PASSPHRASE', `no key slot of ${device} accepts the passphrase or key`] as const)
        : (['ERR_DDI_KERNEL', `cannot open LUKS device ${device}: ${syscall} failed (errno ${-errno})`] as const)
    throw new DdiError(code, message, { errno, path: device })
  }
}
