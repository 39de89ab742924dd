import { findBootOrigin } from '../boot/origin.js'
import { type BootPull, pullAtBoot } from '../boot/pulls.js'
import { DdiError } from '../errors.js'
import type { PullOptions } from '../pull/options.js'
import { printable } from '../text.js'
import { statusOf } from './exit.js'
import type { JsonOption } from './options.js'
import { note, print, printJson } from './output.js'

export async function runBootOrigin({ json }: JsonOption): Promise<void> {
  const origin = await findBootOrigin()
  if (!origin)
    throw new DdiError(
      'ERR_DDI_NO_BOOT_ORIGIN',
      'neither EFI variables nor a DHCP lease name a URL that this machine booted from',
    )
  if (json !== 'off') printJson(origin, json)
  else print(printable(origin.url))
}

/** Each request is told by itself; the status is that of the first that failed. */
export async function runBootPulls(
  options: JsonOption & { readonly initrd?: boolean; readonly sysroot?: string },
  settings: PullOptions,
): Promise<void> {
  const { initrd, sysroot, json } = options
  // Each request says how it is verified.
  const { verify: _, ...others } = settings
  const pulls = await pullAtBoot({
    ...others,
    ...(initrd !== undefined && { initrd }),
    ...(sysroot !== undefined && { sysroot }),
  })
  if (json !== 'off') printJson(pulls.map(described), json)
  else
    for (const one of pulls) {
      const { path, devices, error } = described(one)
      if (error === null) print(`${printable(path)}${devices.length > 0 ? `: ${devices.join(' ')}` : ''}`)
    }
  for (const { error } of pulls) if (error) note(`${error.message} (${error.code})`)
  const failed = pulls.find(({ error }) => error)
  if (failed?.error) process.exitCode = statusOf(failed.error)
}

function described(one: BootPull) {
  const { expression } = one
  if (one.error)
    return { expression, path: '', devices: [], error: { code: one.error.code, message: one.error.message } }
  const path = one.pulled ? one.pulled.path : one.path
  return { expression, path, devices: one.attachment?.volumes.map(({ device }) => device) ?? [], error: null }
}
