import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { makeDirectories } from '../bytes/new-file.js'
import { readIfThere } from '../bytes/small-file.js'
import { systemCode, systemError } from '../errors.js'
import { parameterValues } from '../kernel-command-line.js'
import { printable } from '../text.js'
import { parseOemStrings } from './oem-strings.js'

/** https://systemd.io/CREDENTIALS: small secrets and settings, by their names. */
export type Credentials = ReadonlyMap<string, Uint8Array>

/** CREDENTIAL_SIZE_MAX of systemd, and what all of them may have together, in bytes. */
export const largestCredential = 1024 * 1024
const largestSum = 4 * 1024 * 1024

/** Whether systemd takes a name: credential_name_valid(). */
export function isCredentialName(name: string): boolean {
  return /^[\x20-\x2e\x30-\x39\x3b-\x7e]{1,255}$/.test(name) && name !== '.' && name !== '..'
}

interface Assignment {
  readonly name: string
  /** Undefined if it cannot be decoded. */
  readonly value: Uint8Array | undefined
}

/**
 * Puts credentials together, of several with one name the first. What is malformed or too large is left out.
 * @param onNote is told what
 */
export function joinCredentials(assignments: Iterable<Assignment>, onNote: (text: string) => void): Credentials {
  const joined = new Map<string, Uint8Array>()
  let sum = 0
  for (const { name, value } of assignments) {
    if (joined.has(name)) continue
    const refused = !isCredentialName(name)
      ? 'its name is not valid'
      : value === undefined
        ? 'it is not in base64'
        : value.length > largestCredential
          ? `it has more than ${largestCredential} bytes`
          : sum + value.length > largestSum
            ? `all have more than ${largestSum} bytes`
            : undefined
    if (refused !== undefined) onNote(`credential ${printable(name.slice(0, 255))} left out: ${refused}`)
    else {
      joined.set(name, value!)
      sum += value!.length
    }
  }
  return joined
}

/**
 * Finds the credentials of this machine where systemd does, in its order: those that qemu has, OEM strings of SMBIOS, the kernel command
 * line, and what other programs of the initrd left. In a confidential virtual machine the first two are the host’s, and do not count.
 * @param root the directory that has sys/ and run/
 * @throws ERR_DDI_PERMISSION, ERR_DDI_IO
 */
export async function readCredentials(
  root: string,
  commandLine: string,
  onNote: (text: string) => void,
): Promise<Credentials> {
  const ofHost = (await isConfidential(root))
    ? []
    : [...(await ofFirmwareConfiguration(root)), ...(await ofOemStrings(root))]
  const left = await Promise.all(['@system', '@initrd'].map((name) => ofDirectory(join(root, 'run/credentials', name))))
  return joinCredentials([...ofHost, ...ofCommandLine(commandLine), ...left.flat()], onNote)
}

async function ofFirmwareConfiguration(root: string): Promise<readonly Assignment[]> {
  const directory = join(root, 'sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials')
  const found: Assignment[] = []
  for (const name of await namesIn(directory)) {
    const value = await readIfThere(join(directory, name, 'raw'))
    if (value) found.push({ name, value })
  }
  return found
}

async function ofOemStrings(root: string): Promise<readonly Assignment[]> {
  const directory = join(root, 'sys/firmware/dmi/entries')
  const found: Assignment[] = []
  for (const name of (await namesIn(directory)).filter((one) => /^11-\d+$/.test(one))) {
    const bytes = await readIfThere(join(directory, name, 'raw'))
    for (const one of parseOemStrings(bytes ?? Buffer.alloc(0))) found.push(...ofOemString(one))
  }
  return found
}

/** `io.systemd.credential:NAME=VALUE`, or `io.systemd.credential.binary:NAME=BASE64`: systemd(1). */
function ofOemString(bytes: Buffer): readonly Assignment[] {
  const [, binary, name] = /^io\.systemd\.credential(\.binary)?:([^=]*)=/.exec(bytes.toString('latin1')) ?? []
  if (name === undefined) return []
  const value = bytes.subarray(bytes.indexOf('=') + 1)
  return [{ name, value: binary === undefined ? value : fromBase64(value.toString('latin1')) }]
}

/** `systemd.set_credential=NAME:VALUE`, and the same with `_binary` and base64: systemd(1). */
function ofCommandLine(text: string): readonly Assignment[] {
  return ['systemd.set_credential', 'systemd.set_credential_binary'].flatMap((parameter) =>
    parameterValues(text, parameter).flatMap((assignment): readonly Assignment[] => {
      const colon = assignment.indexOf(':')
      if (colon < 0) return []
      const [name, value] = [assignment.slice(0, colon), assignment.slice(colon + 1)]
      return [{ name, value: parameter.endsWith('_binary') ? fromBase64(value) : Buffer.from(value) }]
    }),
  )
}

async function ofDirectory(directory: string): Promise<readonly Assignment[]> {
  const found: Assignment[] = []
  for (const name of await namesIn(directory)) {
    const value = await readIfThere(join(directory, name))
    if (value) found.push({ name, value })
  }
  return found
}

async function namesIn(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return []
    throw systemError(error, `cannot list ${directory}`)
  })
  return names.sort()
}

function fromBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/\s/g, '')
  return digits.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(digits) ? Buffer.from(digits, 'base64') : undefined
}

/** Memory that the host cannot read: AMD’s way (SEV-SNP: of its forerunners the kernel tells programs nothing), Intel’s, IBM’s and Arm’s. */
async function isConfidential(root: string): Promise<boolean> {
  const devices = [
    'sys/devices/platform/sev-guest',
    'sys/devices/virtual/misc/tdx_guest',
    'sys/devices/platform/arm-cca-dev',
  ]
  for (const path of devices) if (await exists(join(root, path))) return true
  if ((await readIfThere(join(root, 'sys/firmware/uv/prot_virt_guest')))?.toString('latin1').trim() === '1') return true
  const processor = (await readIfThere(join(root, 'proc/cpuinfo')))?.toString('latin1') ?? ''
  return /^flags\s*:.*\btdx_guest\b/m.test(processor)
}

/**
 * Leaves credentials for the system that is booted, where its systemd takes them from.
 * @param root the directory that has run/
 * @throws ERR_DDI_NO_SPACE, ERR_DDI_PERMISSION, ERR_DDI_KERNEL
 */
export async function leaveCredentials(root: string, credentials: Credentials): Promise<void> {
  if (credentials.size === 0) return
  const directory = join(root, 'run/credentials/@initrd')
  await makeDirectories(join(root, 'run/credentials'))
  try {
    await mkdir(directory, { mode: 0o700, recursive: true })
    for (const [name, value] of credentials)
      await writeFile(join(directory, name), value, { mode: 0o400, flag: 'wx' }).catch((error: unknown) => {
        // Another program of the initrd left it.
        if (systemCode(error) !== 'EEXIST') throw error
      })
  } catch (error) {
    throw systemError(error, `cannot leave credentials in ${directory}`, { ENOSPC: 'ERR_DDI_NO_SPACE' })
  }
}
