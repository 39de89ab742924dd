import { readdirSync } from 'node:fs'
import { type Machine, switchOn } from './machine.js'
import type { TestNetwork } from './network.js'

export interface UmlOptions {
  readonly initrd: string
  /** The kernel command line, besides what the machine itself needs. */
  readonly parameters: readonly string[]
  /** In MiB. */
  readonly memory?: number
  /** An image file that is its disk ubda. */
  readonly disk?: { readonly path: string; readonly readOnly?: boolean }
}

/** The modules of Debian's user-mode-linux. */
export function umlModules(): string {
  const [version] = readdirSync('/usr/lib/uml/modules')
  return `/usr/lib/uml/modules/${version}`
}

/** Boots an initrd in user-mode-linux: a real kernel at nearly native speed, without firmware. Its network card is vec0. */
export function bootUml(network: TestNetwork, { initrd, parameters, memory = 320, disk }: UmlOptions): Machine {
  const own = [
    `mem=${memory}M`,
    `initrd=${initrd}`,
    ...(disk ? [`ubd0${disk.readOnly ? 'r' : ''}=${disk.path}`] : []),
    `vec0:transport=tap,ifname=${network.tap},depth=128,gro=1,mac=52:54:00:12:34:57`,
    ...['con=null', 'con0=fd:0,fd:1', 'panic=1', 'noreboot', 'quiet'],
  ]
  return switchOn([...network.inside, 'linux.uml', ...own, ...parameters])
}
