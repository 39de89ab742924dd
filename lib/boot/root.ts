import { DdiError } from '../errors.js'
import { mountImage } from '../mount/mount.js'
import type { BootContext } from './context.js'
import { pullAtBoot } from './pulls.js'

/** What is to be the root of the system. */
export interface RootImage {
  readonly path: string
}

/** Pulls what is requested. @returns undefined if that is nothing. @throws what a pull throws */
export async function obtainRoot({ log }: BootContext): Promise<RootImage | undefined> {
  const pulls = await pullAtBoot({ initrd: true, onProgress: log.progress })
  for (const pull of pulls) {
    if (pull.error) throw pull.error
    log.say(`pulled ${pull.expression}`)
  }
  const [first] = pulls
  if (!first || first.error) return undefined
  return { path: first.pulled ? first.pulled.path : first.path }
}

/** Mounts it, verified by its root hash. */
export async function mountRoot(
  { parameters: { rootHash } }: BootContext,
  image: RootImage,
  sysroot: string,
): Promise<void> {
  if (rootHash === null) throw new DdiError('ERR_DDI_NO_ROOT_HASH', 'roothash= is missing')
  await mountImage(image.path, sysroot, { rootHash })
}
