import { DdiError } from '../lib/errors.js'
import { openLibrary } from './ffi.js'

// libcryptsetup’s API, version 2 (libcryptsetup.h).
const library = 'ddi-cryptsetup'
const luks2 = 'LUKS2'
const anyKeySlot = -1
const activateReadOnly = 1
const activateAllowDiscards = 8
/** `CRYPT_FLAGS_ACTIVATION`: those that a header has for each activation. */
const activationFlags = 0

/** The types of the arguments of a call, and their values. */
type Arguments = readonly [types: readonly number[], values: readonly unknown[]]

/** A LUKS2 header that is loaded. */
interface Header {
  readonly context: number
  readonly types: ReturnType<typeof openLibrary>['DataType']
  /** Calls a function that takes seconds, such as deriving a key: not on the event loop. @returns its result, a negative errno for failure */
  call(name: string, given: Arguments): Promise<number>
  failure(what: string, errno: number): DdiError
}

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
  await withHeader(device, async ({ context, types: { I32, I64, String: text, U8Array: buffer }, call, failure }) => {
    const flags = readOnly ? activateReadOnly : 0
    const activated = await call('crypt_activate_by_passphrase', [
      [I64, text, I32, buffer, I64, I32],
      [context, name, anyKeySlot, Buffer.from(passphrase), passphrase.length, flags],
    ])
    if (activated === -1)
      throw new DdiError('ERR_DDI_PASSPHRASE', `no key slot of ${device} accepts the passphrase or key`, {
        errno: activated,
        path: device,
      })
    if (activated < 0) throw failure('crypt_activate_by_passphrase', activated)
  })
}

/**
 * Has every activation of a LUKS2 volume pass discards on, by a flag in its header.
 * @param device path of the device or file with the header
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_KERNEL with the errno
 */
export async function persistDiscards(device: string): Promise<void> {
  await withHeader(device, async ({ context, types: { I32, I64 }, call, failure }) => {
    const given: Arguments = [
      [I64, I32, I32],
      [context, activationFlags, activateAllowDiscards],
    ]
    const set = await call('crypt_persistent_flags_set', given)
    if (set < 0) throw failure('crypt_persistent_flags_set', set)
  })
}

async function withHeader(device: string, work: (header: Header) => Promise<void>): Promise<void> {
  const { load, DataType } = openLibrary(library, 'libcryptsetup.so.12', 'libcryptsetup12 (Debian) or cryptsetup-libs')
  const { I32, I64, String: text, U8Array: buffer } = DataType
  const call = async (funcName: string, [paramsType, paramsValue]: Arguments) =>
    await (load({
      ...{ library, funcName, paramsType, paramsValue },
      retType: I32,
      runInNewThread: true,
    } as never) as unknown as Promise<number>)
  const failure = (what: string, errno: number) =>
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
  if (initialized < 0) throw failure('crypt_init', initialized)
  const context = Number(place.readBigUInt64LE())
  try {
    const loaded = await call('crypt_load', [
      [I64, text, I64],
      [context, luks2, 0],
    ])
    if (loaded < 0) throw failure('crypt_load', loaded)
    await work({ context, types: DataType, call, failure })
  } finally {
    load({ library, funcName: 'crypt_free', retType: DataType.Void, paramsType: [I64], paramsValue: [context] })
  }
}
