import { join } from 'node:path'
import { readIfThere } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'
import { loadOptionPath, type NetworkPath, networkPath } from './device-path.js'

const efivars = 'sys/firmware/efi/efivars'
/** https://systemd.io/BOOT_LOADER_INTERFACE */
const loaderVendor = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f'
const globalVendor = '8be4df61-93ca-11d2-aa0d-00e098032b8c'
/** The size of the attributes that efivarfs puts before each variable. */
const attributeBytes = 4
/** EFI_VARIABLE_NON_VOLATILE of the UEFI specification. */
const nonVolatile = 1

/** A text that systemd-stub or a boot loader left for this boot. @throws ERR_DDI_PERMISSION */
export async function loaderText(root: string, name: string): Promise<string | undefined> {
  const variable = await readVariable(root, name, loaderVendor)
  // One that outlives a boot is of no boot loader: a system that ran here before has left it, for those after it.
  if (!variable || (variable.attributes & nonVolatile) !== 0) return undefined
  return Buffer.from(variable.value).toString('utf16le').replace(/\0.*$/s, '')
}

/**
 * The network that the boot entry in use is for (`BootCurrent`).
 * @returns undefined if it is for something else, or malformed
 * @throws ERR_DDI_PERMISSION
 */
export async function bootedNetwork(root: string): Promise<NetworkPath | undefined> {
  const current = (await readVariable(root, 'BootCurrent', globalVendor))?.value
  if (!current || current.length < 2) return undefined
  const number = Buffer.from(current).readUInt16LE().toString(16).toUpperCase().padStart(4, '0')
  const option = (await readVariable(root, `Boot${number}`, globalVendor))?.value
  try {
    return option && networkPath(loadOptionPath(option))
  } catch (error) {
    if (error instanceof DdiError && error.code === 'ERR_DDI_DEVICE_PATH') return undefined
    throw error
  }
}

async function readVariable(root: string, name: string, vendor: string) {
  const bytes = await readIfThere(join(root, efivars, `${name}-${vendor}`))
  if (!bytes || bytes.length < attributeBytes) return undefined
  return { attributes: bytes.readUInt32LE(), value: bytes.subarray(attributeBytes) }
}
