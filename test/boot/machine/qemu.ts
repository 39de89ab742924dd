import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../../support/run.js'
import { type Machine, switchOn } from './machine.js'
import type { TestNetwork } from './network.js'

export interface FirmwareOptions {
  /** An existing one, for the variables of the firmware and the state of the TPM. */
  readonly folder: string
  /** In MiB. */
  readonly memory?: number
  /** With a TPM 2.0, by swtpm. */
  readonly tpm?: boolean
}

const firmware = '/usr/share/OVMF'

/** Switches on a PC with UEFI firmware, emulated: it boots from the URL that DHCP tells it. */
export function bootFirmware(network: TestNetwork, { folder, memory = 1024, tpm = false }: FirmwareOptions): Machine {
  const variables = join(folder, 'variables.fd')
  copyFileSync(join(firmware, 'OVMF_VARS_4M.fd'), variables)
  const flash = (unit: number, file: string, more = '') =>
    ['-drive', `if=pflash,format=raw,unit=${unit},file=${file}${more}`] as const
  // PXE is tried first otherwise, and takes a minute to give up.
  const noPxe = ['IPv4PXESupport', 'IPv6PXESupport'].flatMap((name) => [
    '-fw_cfg',
    `name=opt/org.tianocore/${name},string=n`,
  ])
  const emulated = [
    ...['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-machine', 'q35', '-smp', '2'],
    ...['-m', `${memory}`, '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ...flash(0, join(firmware, 'OVMF_CODE_4M.fd'), ',readonly=on'),
    ...flash(1, variables),
    ...noPxe,
    ...['-netdev', `tap,id=net,ifname=${network.tap},script=no,downscript=no`],
    ...['-device', 'virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,romfile='],
  ]
  return switchOn([...network.inside, ...emulated, ...(tpm ? attachTpm(join(folder, 'tpm')) : [])])
}

/** A TPM 2.0 that ends with the machine. @returns how to connect the machine to it */
function attachTpm(folder: string): string[] {
  mkdirSync(folder)
  const socket = join(folder, 'socket')
  const state = ['--tpm2', '--tpmstate', `dir=${folder}`]
  run('swtpm', 'socket', ...state, '--ctrl', `type=unixio,path=${socket}`, '--terminate', '--daemon')
  return [
    ...['-chardev', `socket,id=tpm,path=${socket}`, '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ...['-device', 'tpm-tis,tpmdev=tpm0'],
  ]
}
