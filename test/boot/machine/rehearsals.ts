// Many boots up to the hand-over in one kernel: the same program, with another kernel command line each time.
import { copyFileSync } from 'node:fs'
import { addToInitrd } from './archive.js'
import { server } from './network.js'
import type { WebRequest } from './web.js'

export interface Rehearsal {
  readonly parameters: readonly string[]
  /** Scripts of busybox. */
  readonly before?: string
  readonly after?: string
}

/** What one rehearsal said, its scripts included. */
export interface Rehearsed {
  /** The exit status of the program. */
  readonly status: number
  readonly text: string
}

/**
 * An initrd that rehearses instead of booting, by `rdinit=/rehearse`, and switches the machine off. An image that is there already is
 * used: each rehearsal has names of its own.
 */
export function rehearse(initrd: string, rehearsals: Readonly<Record<string, Rehearsal>>): string {
  const rehearsing = `${initrd}.rehearsing`
  copyFileSync(initrd, rehearsing)
  const files = Object.entries(rehearsals).flatMap(([name, { parameters, before = '', after = '' }]) => [
    [`rehearsal/${name}/cmdline`, `${parameters.join(' ')}\n`],
    [`rehearsal/${name}/before`, before],
    [`rehearsal/${name}/after`, after],
  ])
  addToInitrd(rehearsing, { rehearse: script(Object.keys(rehearsals)), ...Object.fromEntries(files) })
  return rehearsing
}

/** Mounts, modules and network as somebody else's initrd has them; then what ddi-boot.service executes, again and again. */
function script(names: readonly string[]): string {
  return `#!/bin/sh
export PATH=/usr/bin:/bin
b=/bin/busybox
sed '/^exec /d' /init >/prepare
. /prepare
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs -o mode=0755,size=90% run /run
for module in dm-mod dm-verity erofs overlay; do modprobe $module; done
ip link set lo up; ip link set vec0 up; ip address add 10.99.0.77/24 dev vec0
exec >/dev/console 2>&1
for name in ${names.join(' ')}; do
  $b echo "rehearsal $name begins"
  at=/rehearsal/$name
  # For whoever reads what the web server was asked.
  $b wget -q -O /dev/null http://${server.ipv4}/rehearsal/$name 2>/dev/null
  $b sh $at/before
  $b mount --bind $at/cmdline /proc/cmdline
  node /usr/lib/ddi/boot/service.js
  $b echo "rehearsal $name ended with status $?"
  $b umount /proc/cmdline
  $b grep ' /sysroot' /proc/mounts
  $b sh $at/after
  $b echo "rehearsal $name is over"
  while $b umount /sysroot 2>/dev/null; do :; done
done
$b poweroff -f
`
}

/** What was said in each rehearsal. */
export function rehearsed(console: string, name: string): Rehearsed {
  const said = new RegExp(
    `^rehearsal ${name} begins\n([^]*?)^rehearsal ${name} ended with status (\\d+)\n([^]*?)^rehearsal ${name} is over$`,
    'm',
  ).exec(console)
  if (!said) throw new Error(`rehearsal ${name} was not played:\n${console}`)
  const [, program = '', status, after = ''] = said
  return { status: Number(status), text: program + after }
}

/** What the web server was asked for in one of several rehearsals, companions of the kernel aside. */
export function downloadsIn(requests: readonly WebRequest[], name: string): readonly WebRequest[] {
  const start = requests.findIndex(({ path }) => path === `/rehearsal/${name}`)
  const following = requests.slice(start + 1)
  const end = following.findIndex(({ path }) => path.startsWith('/rehearsal/'))
  const own = end < 0 ? following : following.slice(0, end)
  return own.filter(({ path }) => !path.includes('.efi.extra.d/'))
}
