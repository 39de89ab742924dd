import { type BootPull, pullAtBoot } from '../boot/pulls.js'
import type { PullOptions } from '../pull/options.js'
import { printable } from '../text.js'
import { statusOf } from './exit.js'
import { given } from './given.js'
import type { JsonValues } from './options.js'
import { note, print, printJson } from './output.js'

/** Pulls what the machine is configured to pull at boot. Each failure is reported; the exit status is that of the first. */
export async function runBootPulls(
  { initrd, sysroot, json }: JsonValues & { readonly initrd: boolean; readonly sysroot: string | undefined },
  work: PullOptions,
): Promise<void> {
  // Each request says how it is verified.
  const { verify: _, ...others } = work
  const pulls = await pullAtBoot({ ...others, ...given({ initrd: initrd || undefined, sysroot }) })
  if (json !== 'off') printJson(pulls.map(describe), json)
  else
    for (const one of pulls) {
      const { path, devices, error } = describe(one)
      if (error === null) print(`${printable(path)}${devices.length > 0 ? `: ${devices.join(' ')}` : ''}`)
    }
  for (const { error } of pulls) if (error) note(`${error.message} (${error.code})`)
  const failed = pulls.find(({ error }) => error)
  if (failed?.error) process.exitCode = statusOf(failed.error)
}

function describe(one: BootPull) {
  const { expression } = one
  if (one.error)
    return { expression, path: '', devices: [], error: { code: one.error.code, message: one.error.message } }
  const path = one.pulled ? one.pulled.path : one.path
  return { expression, path, devices: one.attachment?.volumes.map(({ device }) => device) ?? [], error: null }
}
