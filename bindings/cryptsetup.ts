import { DdiError } from '../lib/errors.js'
import { openLibrary } from './ffi.js'

// libcryptsetup’s API, version 2 (libcryptsetup.h).
const library = 'ddi-cryptsetup'
const luks2 = 'LUKS2'
const anyKeySlot = -1
const activateReadOnly = 1

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
  const { load, DataType } = openLibrary(library, 'libcryptsetup.so.12', 'libcryptsetup12 (Debian) or cryptsetup-libs')
  const call = async (funcName: string, paramsType: number[], paramsValue: unknown[]) =>
    // Key derivation takes seconds: not on the event loop.
    await (load({
      library,
      funcName,
      retType: DataType.I32,
      paramsType,
      paramsValue,
      runInNewThread: true,
    } as never) as unknown as Promise<number>)
  const { I32, I64, String: text, U8Array: buffer } = DataType
  const refuse = (what: string, errno: number) =>
    new DdiError('ERR_DDI_KERNEL', `cannot open LUKS device ${device}: ${what} failed (errno ${-errno})`, {
      errno,
      path: device,
    })
  // Out parameter: the address of the context.
  const place = Buffer.alloc(8)
  const initialized = load({
    library,
    funcName: 'crypt_init',
    retType: I32,
    paramsType: [buffer, text],
    paramsValue: [place, device],
  })
  if (initialized < 0) throw refuse('crypt_init', initialized)
  const context = Number(place.readBigUInt64LE())
  try {
    const loaded = await call('crypt_load', [I64, text, I64], [context, luks2, 0])
    if (loaded < 0) throw refuse('crypt_load', loaded)
    const parameters = [I64, text, I32, buffer, I64, I32]
    const flags = readOnly ? activateReadOnly : 0
    const activated = await call('crypt_activate_by_passphrase', parameters, [
      context,
      name,
      anyKeySlot,
      Buffer.from(passphrase),
      passphrase.length,
      flags,
    ])
    if (activated === -1)
      throw new DdiError('ERR_DDI_PASSPHRASE', `no key slot of ${device} accepts the passphrase or key`, {
        errno: activated,
        path: device,
      })
    if (activated < 0) throw refuse('crypt_activate_by_passphrase', activated)
  } finally {
    load({ library, funcName: 'crypt_free', retType: DataType.Void, paramsType: [I64], paramsValue: [context] })
  }
}
