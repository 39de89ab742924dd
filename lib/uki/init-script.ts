import type { CpioEntry } from './cpio.js'

/** What /init loads before it can mount /usr. */
export const earlyModules: readonly string[] = ['loop', 'squashfs']

/** Where the early modules are, without directories. */
export const earlyDirectory = 'm'

/** Where the modules of another kernel are than the one that /usr was made for; they cover those. */
export const otherModules = 'modules'

/** What /init needs before it mounts /dev. */
export const deviceNodes: readonly CpioEntry[] = [
  { path: 'dev/console', kind: 'character-device', major: 5, minor: 1, mode: 0o600 },
  { path: 'dev/null', kind: 'character-device', major: 1, minor: 3, mode: 0o666 },
]

/**
 * The first program: it mounts what has Node.js, and becomes the boot program. If it cannot, it ends, and the kernel panics.
 * @param modules the early ones, in the order of their needs
 */
export function initScript(modules: readonly string[]): string {
  return `#!/bin/sh
export PATH=/usr/bin:/bin
fail() { echo "ddi: FAILED: the initrd cannot $1"; exit 1; }
echo "ddi: the initrd begins"
mount -t devtmpfs dev /dev || fail "mount /dev"
${modules.map((name) => `insmod /${earlyDirectory}/${name} || fail "load ${name}"\n`).join('')}mount -t squashfs -o loop,ro /usr.squashfs /usr || fail "mount /usr"
[ ! -d /${otherModules} ] || mount -o bind /${otherModules} /usr/lib/modules || fail "bind its modules"
exec node /usr/lib/ddi/boot/main.js "$@"
`
}
