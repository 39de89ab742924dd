import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cliPath, packageRoot, run } from '../../support/run.js'
import type { Vendor } from './roots.js'

/** A kernel of Debian, with its modules. */
export interface Kernel {
  readonly version: string
  readonly path: string
  readonly modules: string
}

/** @param packages the name of a package that depends on it. Default: the cloud kernel */
export function debianKernel(...packages: readonly string[]): Kernel {
  const folder = run('bash', join(packageRoot, 'test/kernel/cloud-kernel.sh'), ...packages).trim()
  const [version = ''] = readdirSync(join(folder, 'lib/modules'))
  return { version, path: join(folder, 'boot', `vmlinuz-${version}`), modules: join(folder, 'lib/modules', version) }
}

/** A UKI of Debian's cloud kernel that trusts the vendor. @param words further options */
export function buildCloudUki(
  output: string,
  { identity }: Pick<Vendor, 'identity'>,
  ...words: readonly string[]
): void {
  const kernel = debianKernel()
  run(
    ...([
      process.execPath,
      cliPath,
      'uki',
      'build',
      `--output=${output}`,
      `--kernel=${kernel.path}`,
      `--modules-from=${kernel.modules}`,
    ] as const),
    ...[`--certificate=${identity.certificate}`, '--cmdline=console=ttyS0 panic=-1', ...words],
  )
}
