import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cliPath, packageRoot, run } from '../../support/run.js'
import type { Vendor } from './roots.js'

/** A UKI of Debian's cloud kernel: it boots `acme_1.raw.xz` from beside itself, if the vendor signed that. */
export function buildCloudUki(output: string, { identity }: Vendor): void {
  const kernel = run('bash', join(packageRoot, 'test/kernel/cloud-kernel.sh')).trim()
  const only = (directory: string, prefix = '') =>
    join(kernel, directory, readdirSync(join(kernel, directory)).find((name) => name.startsWith(prefix))!)
  run(
    ...([
      process.execPath,
      cliPath,
      'uki',
      'build',
      `--output=${output}`,
      `--kernel=${only('boot', 'vmlinuz-')}`,
    ] as const),
    ...[`--modules-from=${only('lib/modules')}`, `--certificate=${identity.certificate}`, '--image=acme_1.raw.xz'],
    ...['--network=dhcp', '--cmdline=console=ttyS0 panic=-1'],
  )
}
