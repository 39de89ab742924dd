import type { Volume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { compareVersions } from '../version.js'
import type { DissectedVolume } from './dissection.js'

/** The label that systemd-repart and systemd-sysupdate give to partitions that hold nothing yet. */
const emptyLabel = '_empty'

/** Whether a volume may be used without being requested by name. */
export function isOffered(volume: Volume): boolean {
  return !volume.flags.noAuto && volume.label !== emptyLabel
}

/** The volume with the newest version in its label. */
export function newest<V extends Volume>(volumes: readonly V[]): V | undefined {
  return volumes.reduce<V | undefined>(
    (best, next) => (best && compareVersions(next.label ?? '', best.label ?? '') <= 0 ? best : next),
    undefined,
  )
}

/** The volumes that are chosen from by what they hold: several for one purpose. */
export function rivals<V extends Volume>(volumes: readonly V[]): readonly V[] {
  const offered = volumes.filter((one) => one.designator !== null && isOffered(one))
  return offered.filter((one) => offered.some((other) => other !== one && other.designator === one.designator))
}

/** Those that hold something libblkid recognises, if any does: no update has filled the others yet. */
export function filled<V extends DissectedVolume>(volumes: readonly V[]): readonly V[] {
  const found = volumes.filter(({ fileSystem }) => fileSystem !== null)
  return found.length > 0 ? found : volumes
}

/** As {@link preferred}, of those of its architecture that are {@link filled}. */
export function preferredFilled<V extends DissectedVolume>(
  volumes: readonly V[],
  designator: Designator,
  architectures: readonly string[],
): V | undefined {
  const found = ranked(volumes, designator, architectures)
  return filled(found.filter(({ architecture }) => architecture === found[0]?.architecture))[0]
}

/** The newest volume of the first architecture that has any; one without an architecture fits all. */
export function preferred<V extends Volume>(
  volumes: readonly V[],
  designator: Designator,
  architectures: readonly string[],
): V | undefined {
  return ranked(volumes, designator, architectures)[0]
}

/** All volumes that {@link preferred} chooses from, the preferred first. */
export function ranked<V extends Volume>(
  volumes: readonly V[],
  designator: Designator,
  architectures: readonly string[],
): readonly V[] {
  const offered = volumes.filter((one) => one.designator === designator && isOffered(one))
  return [null, ...architectures].flatMap((architecture) =>
    offered
      .filter((one) => one.architecture === architecture)
      .sort((one, other) => compareVersions(other.label ?? '', one.label ?? '')),
  )
}

/** @throws ERR_DDI_GPT_DUPLICATE_UUID if there are several */
export function onlyOne<V extends Volume>(volumes: readonly V[], what: string): V | undefined {
  if (volumes.length > 1)
    throw new DdiError(
      'ERR_DDI_GPT_DUPLICATE_UUID',
      `${volumes.length} partitions could be the ${what} ${volumes[0]!.uuid}`,
    )
  return volumes[0]
}
