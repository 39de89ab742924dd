import { type BootPull, pullAtBoot } from '../boot/pulls.js'
import type { PullOptions } from '../pull/options.js'
import { printable } from '../text.js'
import { statusOf } from './exit.js'
import { given } from './given.js'
import { note, noteError, print, printJson } from './output.js'
import type { JsonValues } from './verb.js'

/** Pulls what the machine is configured to pull at boot. Each failure is reported; the exit status is that of the first. */
export async function runBootPulls(
  { initrd, sysroot, json }: JsonValues & { readonly initrd: boolean; readonly sysroot: string | undefined },
  work: PullOptions,
): Promise<void> {
  // Each request says how it is verified.
  const { verify: _, ...others } = work
  const pulls = await pullAtBoot({ ...others, ...given({ initrd: initrd || undefined, sysroot }), onNote: note })
  if (json !== 'off') printJson({ pulls: pulls.map(describe) }, json)
  else
    for (const one of pulls) {
      const { path, devices } = describe(one)
      if (path !== null) print(`${printable(path)}${devices.length > 0 ? `: ${devices.join(' ')}` : ''}`)
    }
  const failed = pulls.filter((one) => one.state === 'failed')
  for (const { error } of failed) noteError(`${error.message} (${error.code})`)
  if (failed[0]) process.exitCode = statusOf(failed[0].error)
}

function describe(one: BootPull) {
  const { expression, state } = one
  const nothing = { expression, state, path: null, devices: [], error: null }
  if (one.state === 'failed') return { ...nothing, error: { code: one.error.code, message: one.error.message } }
  if (one.state === 'skipped') return nothing
  return { ...nothing, path: one.path, devices: one.attachment?.volumes.map(({ device }) => device) ?? [] }
}
