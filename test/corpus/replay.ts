// util-linux's tests of fdisk hold no images but what to type: they are run, as nobody, with an fdisk that keeps each disk it wrote.
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { attempt } from '../support/run.js'

/** What their tests/functions.sh says, as far as it is needed to make disks. */
const functions = `
TS_OUTDIR=$KEPT/work; mkdir -p "$TS_OUTDIR"; TS_OUTPUT=/dev/null; TS_ERRLOG=/dev/null; TS_TESTNAME=\${0##*/}
keep() {
  local tool=$1 status disk; shift
  "$tool" "$@"; status=$?; disk=\${*: -1}
  [ ! -f "$disk" ] || cp --sparse=always "$disk" "$KEPT/$TS_TESTNAME-$(md5sum <"$disk" | cut -c 1-12).img"
  return $status
}
TS_CMD_FDISK='keep fdisk'; TS_CMD_SFDISK='keep sfdisk'
ts_image_init() { local disk=\${2:-$TS_OUTDIR/$TS_TESTNAME.img}; rm -f "$disk"; truncate -s "\${1:-5}M" "$disk"; echo "$disk"; }
ts_device_init() { TS_LODEV=$(ts_image_init "$@"); }
ts_scsi_debug_init() { TS_DEVICE=$(ts_image_init 50); }
command_not_found_handle() { :; }
`

/** Runs the tests in a folder of util-linux, and keeps the disks that they make. @returns the folder of the disks */
export function replayFdisk(utilLinux: string, cache: string): string {
  const kept = join(cache, 'util-linux/fdisk')
  if (existsSync(kept)) return kept
  mkdirSync(kept, { recursive: true })
  chmodSync(kept, 0o777)
  writeFileSync(join(utilLinux, 'tests/functions.sh'), functions)
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs']
  const program = 'cd "$1" && for test in *; do timeout 60 bash "./$test" </dev/null; done; rm -rf "$KEPT/work"'
  attempt('env', `KEPT=${kept}`, 'setpriv', ...nobody, 'bash', '-c', program, 'bash', join(utilLinux, 'tests/ts/fdisk'))
  return kept
}
