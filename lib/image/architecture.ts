import { arch, endianness } from 'node:os'
import { DdiError } from '../errors.js'
import { architectures } from '../gpt/dps-types.js'

// Node’s names of processors, and the specification’s; what a processor can also run comes second.
const byNodeName: Readonly<Record<string, readonly string[]>> = {
  arm: ['arm'],
  arm64: ['arm64', 'arm'],
  ia32: ['x86'],
  loong64: ['loongarch64'],
  mips: ['mips'],
  mipsel: ['mips-le'],
  ppc: ['ppc'],
  ppc64: endianness() === 'LE' ? ['ppc64-le'] : ['ppc64', 'ppc'],
  riscv64: ['riscv64', 'riscv32'],
  s390: ['s390'],
  s390x: ['s390x', 's390'],
  x64: ['x86-64', 'x86'],
}

/** The architectures whose volumes this machine runs, the preferred first, as partition types name them. */
export function machineArchitectures(): readonly string[] {
  return byNodeName[arch()] ?? []
}

/** @throws ERR_DDI_USAGE for a processor that no partition type is for */
export function refuseUnknownArchitectures(names: readonly string[]): void {
  const unknown = names.find((name) => !architectures.includes(name))
  if (unknown !== undefined)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `no partition type is for the architecture ${JSON.stringify(unknown)}: there are ${[...architectures].sort().join(', ')}`,
    )
}
