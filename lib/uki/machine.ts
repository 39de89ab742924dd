/** Processors as parts of an image name them: PE, Node.js, the names of stubs. */
interface Machine {
  /** As partition types have it. */
  readonly name: string
  /** IMAGE_FILE_MACHINE_… */
  readonly pe: number
  /** Of `process.arch`. */
  readonly node: string
  readonly stub: string
  /** What a firmware starts of an EFI partition that no boot entry names: UEFI 2.10, section 3.5.1.1. */
  readonly removable: string
}

const machines: readonly Machine[] = [
  { name: 'x86-64', pe: 0x8664, node: 'x64', stub: 'linuxx64.efi.stub', removable: 'BOOTX64.EFI' },
  { name: 'arm64', pe: 0xaa64, node: 'arm64', stub: 'linuxaa64.efi.stub', removable: 'BOOTAA64.EFI' },
]

/** @returns undefined if it is none that this package runs on */
export function machineOf(pe: number): Machine | undefined {
  return machines.find((one) => one.pe === pe)
}

export function machineName(pe: number): string {
  return machineOf(pe)?.name ?? `machine 0x${pe.toString(16)}`
}

/** @param name as {@link machineName} has it @returns undefined if it is none that this package runs on */
export function removableName(name: string): string | undefined {
  return machines.find((one) => one.name === name)?.removable
}
