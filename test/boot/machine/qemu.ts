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
  /** A disk, in a file. */
  readonly disk?: string
  /** With Secure Boot, and whose keys the firmware has: those that Debian has for tests, or Microsoft’s. */
  readonly secureBoot?: 'snakeoil' | 'ms'
  /** Further words for qemu. */
  readonly words?: readonly string[]
}

const firmware = '/usr/share/OVMF'

/**
 * Switches on a PC with UEFI firmware, emulated, whose firmware knows of no boot entry yet: it boots from its disk, or else from the URL
 * that DHCP tells it.
 * @param network null: it has no network card
 */
export function bootFirmware(
  network: TestNetwork | null,
  { folder, memory = 1024, tpm = false, disk, secureBoot, words = [] }: FirmwareOptions,
): Machine {
  const variables = join(folder, 'variables.fd')
  const keys = secureBoot === undefined ? '' : `.${secureBoot}`
  copyFileSync(join(firmware, `OVMF_VARS_4M${keys}.fd`), variables)
  const flash = (unit: number, file: string, more = '') =>
    ['-drive', `if=pflash,format=raw,unit=${unit},file=${file}${more}`] as const
  // PXE is tried first otherwise, and takes a minute to give up.
  const noPxe = ['IPv4PXESupport', 'IPv6PXESupport'].flatMap((name) => [
    '-fw_cfg',
    `name=opt/org.tianocore/${name},string=n`,
  ])
  const emulated = [
    ...(['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2'] as const),
    // Only firmware in system management mode may change the keys.
    ...['-machine', secureBoot === undefined ? 'q35' : 'q35,smm=on'],
    ...(secureBoot === undefined ? [] : ['-global', 'driver=cfi.pflash01,property=secure,value=on']),
    ...['-m', `${memory}`, '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ...flash(0, join(firmware, `OVMF_CODE_4M${keys}.fd`), ',readonly=on'),
    ...flash(1, variables),
    ...noPxe,
    ...(tpm ? attachTpm(join(folder, 'tpm')) : []),
    ...(disk === undefined ? [] : attachDisk(disk)),
    ...words,
  ] as const
  return switchOn(network ? [...network.inside, ...emulated, ...attachCard(network)] : emulated)
}

function attachCard({ tap }: TestNetwork): string[] {
  const card = 'virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,romfile='
  return ['-netdev', `tap,id=net,ifname=${tap},script=no,downscript=no`, '-device', card]
}

function attachDisk(path: string): string[] {
  return ['-drive', `if=none,id=disk,format=raw,file=${path}`, '-device', 'virtio-blk-pci,drive=disk']
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
