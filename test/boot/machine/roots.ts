// Root images that say that they run, and a web server's folder with all kinds of them.

import { randomBytes } from 'node:crypto'
import { copyFileSync, linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { defineImage, emptyFile, flipBit, MiB } from '../../support/images.js'
import { signByGpg } from '../../support/keyring.js'
import { type Identity, makeIdentity } from '../../support/keys.js'
import { cliPath, run } from '../../support/run.js'

/** What the init of every root here says first, with the seconds that its kernel has run. */
export const rootIsUp = /^root is up after ([\d.]+) s$/m

/** It says which root, kernel and image it runs on, and switches the machine off. */
export const init = `#!/bin/busybox sh
b=/bin/busybox
read -r seconds rest </proc/uptime
echo "root is up after $seconds s"
echo "the kernel is $($b uname -r), the image $($b cat /run/ddi/booted 2>/dev/null)"
$b grep ' / ' /proc/mounts
[ -f /run/ddi/boot.log ] && echo "the log has $($b grep -c . /run/ddi/boot.log) lines"
for one in /run/credentials/@initrd/*; do [ -e "$one" ] && echo "handed over: $one: $($b cat "$one")"; done
$b sha256sum /var/filler
$b grep MemTotal /proc/meminfo
[ -d /sys/class/tpm/tpm0 ] && echo "PCR 12: $($b cat /sys/class/tpm/tpm0/pcr-sha256/12)" && $b cat /run/log/systemd/tpm2-measure.log
$b poweroff -f
`

/** The tree of a root file system that is busybox. @param program its init, a script */
export function makeRootTree(tree: string, program = init): void {
  for (const name of ['bin', 'sbin', 'etc', 'dev', 'proc', 'sys', 'run', 'tmp', 'var', 'usr', 'mnt'])
    mkdirSync(join(tree, name), { recursive: true })
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'))
  symlinkSync('busybox', join(tree, 'bin/sh'))
  writeFileSync(join(tree, 'sbin/init'), program, { mode: 0o755 })
  writeFileSync(join(tree, 'etc/os-release'), 'ID=trial\n')
}

/** A root with a hash tree, and with a signature if there is somebody to sign. @returns the root hash */
export function buildImage(tree: string, output: string, signer?: Identity, more: readonly string[] = []): string {
  const definitions = defineImage(dirname(output), {
    '10-root': ['Type=root', 'Format=erofs', 'CopyFiles=/', 'Verity=data', 'VerityMatchKey=root'],
    '20-root-verity': ['Type=root-verity', 'Verity=hash', 'VerityMatchKey=root'],
    ...(signer && { '30-root-verity-sig': ['Type=root-verity-sig', 'Verity=signature', 'VerityMatchKey=root'] }),
  })
  const signing = signer ? [`--key=${signer.key}`, `--certificate=${signer.certificate}`] : []
  const seed = '--seed=5a1e0b5e-0000-4000-8000-000000000001'
  const built = [
    cliPath,
    'build',
    `--definitions=${definitions}`,
    `--root=${tree}`,
    `--output=${output}`,
    seed,
    ...signing,
    ...more,
  ]
  const report = run(process.execPath, ...built)
  rmSync(definitions, { recursive: true })
  return /^root hash ([0-9a-f]{64})$/m.exec(report)![1]!
}

/** What a web server of images has, and who vouches for it. */
export interface Vendor {
  /** In its certificate everything begins. */
  readonly identity: Identity
  readonly keyring: string
  /** Of `acme_1.raw`, and all images of the same tree. */
  readonly rootHash: string
  /** SHA-256 of files, by name. */
  readonly hashes: ReadonlyMap<string, string>
}

/**
 * Makes a folder of images to boot from, with signed checksums: `acme_1.raw`, `.raw.xz`, `.raw.zst` and `.tar.xz`; `unsigned`,
 * `stranger` (signed by somebody else), `foreign` (for another processor), and `flipped`
 * (a bit of its data), all `.raw.xz`; `large.raw`, of zeroes. In folders: the image to be `cut`, or replaced by a `page`, and with
 * `companions`, whose list is signed, and `unsigned-companions`.
 */
export function makeVendor(folder: string, www: string): Vendor {
  const tree = join(folder, 'root')
  makeRootTree(tree)
  writeFileSync(join(tree, 'var/filler'), randomBytes(2 * MiB))
  const identity = makeIdentity(folder, 'vendor')
  const at = (name: string) => join(www, name)
  const rootHash = buildImage(tree, at('acme_1.raw'), identity)
  buildImage(tree, at('unsigned.raw'))
  buildImage(tree, at('stranger.raw'), makeIdentity(folder, 'stranger'))
  buildImage(tree, at('foreign.raw'), identity, ['--architecture=arm64'])
  copyFileSync(at('acme_1.raw'), at('flipped.raw'))
  flipBit(at('flipped.raw'), 2 * MiB)
  run('xz', '-0', '--keep', at('acme_1.raw'))
  run('xz', '-0', ...['unsigned', 'stranger', 'foreign', 'flipped'].map((name) => at(`${name}.raw`)))
  run('zstd', '-q', '-1', at('acme_1.raw'))
  run('tar', '-C', tree, '--numeric-owner', '-cJf', at('acme_1.tar.xz'), '.')
  emptyFile(at('large.raw'), 16 * 1024 * MiB)
  const sums = run('sh', '-c', `cd '${www}' && sha256sum acme_1.* *.raw.xz | sort -u`)
  const lines = [...new Set(sums.trim().split('\n'))]
  writeFileSync(at('SHA256SUMS'), `${lines.join('\n')}\n`)
  // The same once more, for servers that have faults, and with companions.
  for (const folder of ['cut', 'page', 'companions', 'unsigned-companions']) {
    mkdirSync(at(folder))
    for (const name of ['acme_1.raw.xz', 'SHA256SUMS']) linkSync(at(name), join(at(folder), name))
  }
  const companions = ['companions', 'unsigned-companions'].map((folder) => makeCompanions(www, folder))
  return {
    identity,
    keyring: signByGpg(join(folder, 'gnupg'), at('SHA256SUMS'), companions[0]!),
    rootHash,
    hashes: new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)])),
  }
}

/** A credential, and an extension. @returns their list */
function makeCompanions(www: string, folder: string): string {
  const name = 'acme_1.efi.extra.d'
  const directory = join(www, folder, name)
  mkdirSync(directory)
  writeFileSync(join(directory, 'motd.cred'), 'well met\n')
  copyFileSync(join(www, 'acme_1.raw'), join(directory, 'tools.sysext.raw'))
  const list = join(directory, 'SHA256SUMS')
  writeFileSync(list, run('sh', '-c', `cd '${join(www, folder)}' && sha256sum ${name}/*`))
  return list
}
