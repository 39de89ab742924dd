import type { ImageFacts } from '../mount/facts.js'
import { printable } from '../text.js'
import { print } from './output.js'

/** Prints what the files of an image say of it. */
export function printFacts({ hostname, machineId, uses, ...releases }: ImageFacts): void {
  const lines: (readonly [string, string])[] = [
    ...(hostname === null ? [] : [['Hostname', hostname] as const]),
    ...(machineId === null ? [] : [['Machine ID', machineId] as const]),
  ]
  const groups = {
    'Machine info': releases.machineInfo,
    'OS release': releases.osRelease,
    'Initrd release': releases.initrdRelease,
    'Sysext release': releases.sysextRelease,
    'Confext release': releases.confextRelease,
  }
  for (const [title, group] of Object.entries(groups))
    for (const [index, [name, value]] of Object.entries(group).entries())
      lines.push([index === 0 ? title : '', `${name}=${value}`])
  lines.push(['Use as', uses.join(', ') || '-'])
  print('')
  for (const [title, text] of lines) print(`${(title === '' ? '' : `${title}:`).padEnd(17)}${printable(text)}`)
}
