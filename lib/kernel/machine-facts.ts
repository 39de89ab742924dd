import { readFile } from 'node:fs/promises'
import { hostname, release } from 'node:os'
import type { MachineFacts } from '../definition.js'

/** What specifiers say of this machine. @param machineId the text of the `etc/machine-id` that `%m` stands for; undefined: there is none */
export async function machineFacts(machineId: string | undefined): Promise<MachineFacts> {
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  const isId = machineId !== undefined && /^[0-9a-f]{32}\s*$/.test(machineId)
  return {
    bootId: bootId.trim().replaceAll('-', ''),
    hostName: hostname(),
    kernel: release(),
    machineId: isId ? machineId.trim() : undefined,
  }
}
