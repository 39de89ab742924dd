// Booting in user-mode-linux: the boot program against the same work by a shell and `ddi-attach`, and a pull against wget, sha256sum and
// xz; how large a UKI is. Debian 12 has no peer that does all of it: systemd 252 knows no rd.systemd.pull=, and livenet of dracut-live
// fetches an image without verifying or unpacking it.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { addToInitrd } from '../test/boot/machine/archive.js'
import { server } from '../test/boot/machine/network.js'
import { rehearse, rehearsed } from '../test/boot/machine/rehearsals.js'
import { rootIsUp } from '../test/boot/machine/roots.js'
import { prepareTrial, type Trial } from '../test/boot/machine/trial.js'
import { buildCloudUki } from '../test/boot/machine/uki.js'
import { bootUml } from '../test/boot/machine/user-mode-linux.js'
import { MiB } from '../test/support/images.js'
import { packageRoot, run, temporaryFolder } from '../test/support/run.js'
import { makeMixedFile, median, report } from './compare.js'

const rounds = 3
const address = `http://${server.ipv4}`

/** What the boot program does, by a shell that starts `ddi-attach` for each step: the experiment that came before it. */
const shell = `#!/bin/sh
export PATH=/usr/bin:/bin
sed '/^exec /d' /init >/prepare
. /prepare
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs -o mode=0755,size=90% run /run
for module in dm-mod dm-verity erofs; do modprobe $module; done
printf '#!/bin/sh\\n[ "$1" = bound ] && ip address add $ip/24 dev $interface\\n' >/lease; chmod +x /lease
ip link set lo up; ip link set vec0 up; udhcpc -n -q -f -i vec0 -s /lease >/dev/null 2>&1
ddi() { node /peer/dist/cli/main.js "$@"; }
ddi boot-origin
ddi pull --from-cmdline --initrd
ddi mount /run/machines/root.raw /sysroot --root-hash "$(sed 's/.*roothash=\\([0-9a-f]*\\).*/\\1/' /proc/cmdline)"
for directory in dev proc sys run; do mount -o move /$directory /sysroot/$directory; done
exec switch_root -c /dev/console /sysroot /sbin/init
`

/** The package's command line, in an initrd that has all but it. */
function addShell(initrd: string): void {
  const code = ['cli', 'chunks'].flatMap((folder) =>
    readdirSync(join(packageRoot, 'dist', folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /[.]js(on)?$/.test(name))
      .map((name) => `dist/${folder}/${name}`),
  )
  addToInitrd(initrd, {
    shell,
    'peer/package.json': readFileSync(join(packageRoot, 'package.json')),
    ...Object.fromEntries(code.map((path) => [`peer/${path}`, readFileSync(join(packageRoot, path))])),
  })
  // Native modules are where the boot program has them.
  using folder = temporaryFolder()
  const commands = [
    `cd '${folder.path}' && mkdir peer`,
    'ln -s /usr/lib/ddi/node_modules /usr/lib/ddi/prebuilds peer/',
    `find . | cpio --quiet --create --format=newc >>'${initrd}'`,
  ]
  run('sh', '-c', commands.join(' && '))
}

/** Boots once. @returns how long our first line came after the kernel’s, and when the root was up by the kernel’s clock, in seconds */
async function boot({ network, initrd, vendor }: Trial, program: string) {
  const parameters = [
    ...[`rdinit=${program}`, 'ip=dhcp', `ddi.url=${address}/acme.efi`, `roothash=${vendor.rootHash}`],
    'rd.systemd.pull=raw,machine,verify=checksum,bootorigin:root:acme_1.raw.xz',
  ]
  await using machine = bootUml(network, { initrd, parameters })
  const { text, lines } = await machine.off(120)
  const up = rootIsUp.exec(text)
  if (!up) throw new Error(`the root is not up:\n${text}`)
  const ours = lines.find((line) => line.text.includes('ddi: '))
  return { first: (ours?.at ?? Number.NaN) - lines[0]!.at, up: Number(up[1]) }
}

async function compareBoots(trial: Trial): Promise<void> {
  const [first, ours, theirs]: number[][] = [[], [], []]
  for (let round = 0; round < rounds; round++) {
    const one = await boot(trial, '/init')
    first!.push(one.first)
    ours!.push(one.up)
    theirs!.push((await boot(trial, '/shell')).up)
  }
  console.log(`boot in user-mode-linux with 320 MB, from the kernel’s start (median of ${rounds})`)
  console.log(`  ${median(ours!).toFixed(2).padStart(9)} s   to the root’s init`)
  console.log(`  ${median(theirs!).toFixed(2).padStart(9)} s   to the root’s init, by a shell and ddi-attach`)
  report(
    `${(median(theirs!) / median(ours!)).toFixed(1)} times as fast`,
    median(ours!) <= median(theirs!),
    'at least 1',
  )
  report(`${median(first!).toFixed(2)} s from the kernel’s first line to ours`, median(first!) <= 1, 'at most 1')
}

/** Both in one kernel, in turns, with the same file. */
async function comparePulls({ network, initrd }: Trial): Promise<void> {
  makeMixedFile(join(network.www, 'mixed.raw'), 64 * MiB)
  run('xz', '-T0', '-0', join(network.www, 'mixed.raw'))
  const sum = run('sha256sum', join(network.www, 'mixed.raw.xz')).slice(0, 64)
  addToInitrd(initrd, { 'bin/xz': readFileSync('/usr/bin/xz') })
  const peer = [
    'rm -rf /run/portables /run/peer; mkdir /run/peer; cd /run/peer',
    'read start rest </proc/uptime',
    `wget -q -O mixed.raw.xz ${address}/mixed.raw.xz && echo "${sum}  mixed.raw.xz" | /bin/busybox sha256sum -c && xz -d mixed.raw.xz`,
    'read end rest </proc/uptime',
    'echo "peer: $start $end"',
  ].join('\n')
  const parameters = [`rd.systemd.pull=raw,portable,verify=${sum}:mixed:${address}/mixed.raw.xz`]
  const names = Array.from({ length: rounds }, (_, round) => `round-${round}`)
  const rehearsals = Object.fromEntries(names.map((name) => [name, { parameters, after: peer }]))
  const rehearsing = rehearse(initrd, rehearsals)
  await using machine = bootUml(network, { initrd: rehearsing, parameters: ['rdinit=/rehearse'], memory: 512 })
  const { text } = await machine.off(300)
  const times = names.map((name) => {
    const said = rehearsed(text, name).text
    const [began, ended] = ['pulling ', 'pulled: '].map(
      (step) => new RegExp(`^\\[ *([\\d.]+)\\] ddi: ${step}`, 'm').exec(said)?.[1],
    )
    const [, start, end] = /^peer: ([\d.]+) ([\d.]+)$/m.exec(said) ?? []
    return { ours: Number(ended) - Number(began), theirs: Number(end) - Number(start) }
  })
  const [ours, theirs] = [median(times.map((one) => one.ours)), median(times.map((one) => one.theirs))]
  console.log(`pull 64 MiB, xz, into memory, in user-mode-linux (median of ${rounds})`)
  console.log(`  ${ours.toFixed(2).padStart(9)} s   the boot program`)
  console.log(`  ${theirs.toFixed(2).padStart(9)} s   wget, sha256sum, xz -d`)
  report(`${(ours / theirs).toFixed(2)} of their time`, ours <= 1.5 * theirs, 'at most 1.5')
}

using folder = temporaryFolder()
await using trial = await prepareTrial(folder.path)
const uki = join(folder.path, 'acme.efi')
buildCloudUki(uki, trial.vendor)
const MB = statSync(uki).size / 1e6
console.log('UKI of Debian’s cloud kernel')
report(`${MB.toFixed(1)} MB`, MB <= 45, 'at most 45')
await trial.network.addresses({ kind: 'dhcpv4' })
addShell(trial.initrd)
await compareBoots(trial)
await comparePulls(trial)
