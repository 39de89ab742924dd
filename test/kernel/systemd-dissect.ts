// What systemd-dissect says of images: it wants a kernel that it can mount and network in.
import type { Dissection } from '../../lib/index.js'
import { run } from '../support/run.js'

/** A partition that it would mount, or that protects one. */
interface Mount {
  readonly designator: string
  readonly partition_uuid: string | null
  /** It has none for a root of the generic type. */
  readonly partition_label: string | null
  readonly fstype: string | null
  readonly architecture: string | null
  /** Of root and usr: `signed` if there is a signature partition for it, whoever signed. */
  readonly verity: 'no' | 'yes' | 'signed' | null
}

/** @param image file with sectors of 512 bytes, or the device of a {@link loopDevice} */
export function systemdDissects(image: string): readonly Mount[] {
  return JSON.parse(run('systemd-dissect', '--json=short', image)).mounts
}

/** Which partition is used for what, and whether a root hash covers it. */
type Uses = Readonly<Record<string, Omit<Mount, 'designator' | 'partition_label'>>>

/** Trees and signatures by what they make of the partition that they are for. */
export function usesBySystemd(mounts: readonly Mount[]): Uses {
  return Object.fromEntries(
    mounts
      .filter(({ designator }) => !designator.includes('-verity'))
      .map(({ designator, partition_uuid, fstype, architecture, verity }) => [
        designator,
        { partition_uuid, fstype, architecture, verity },
      ]),
  )
}

/** What {@link usesBySystemd} is compared with. */
export function usesOf({ roles, verity }: Dissection): Uses {
  const stateOf = (designator: 'root' | 'usr') => {
    const pair = verity.get(designator)
    return pair?.trusted ? (pair.signature ? 'signed' : 'yes') : 'no'
  }
  return Object.fromEntries(
    [...roles].map(([designator, { uuid, fileSystem, architecture }]) => [
      designator,
      {
        ...{ partition_uuid: uuid, fstype: fileSystem?.type ?? null, architecture },
        verity: designator === 'root' || designator === 'usr' ? stateOf(designator) : null,
      },
    ]),
  )
}

/** A loop device with sectors of a size, detached at the end of the scope. */
export function loopDevice(path: string, sectorSize: number): { readonly path: string } & Disposable {
  const device = run('losetup', '--find', '--show', '--partscan', '--sector-size', String(sectorSize), path).trim()
  return { path: device, [Symbol.dispose]: () => void run('losetup', '--detach', device) }
}
