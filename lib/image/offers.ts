import { extentSource } from '../bytes/extents.js'
import type { Source } from '../bytes/source.js'
import { findByName, requireWhole } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import type { Dissection, UsableVolume, Verity } from './dissection.js'
import type { SignatureMode } from './signatures.js'

export interface OfferOptions {
  /** Lets volumes be written that neither a root hash nor their read-only flag protects. Default: false. */
  readonly writable?: boolean
  /** Labels or UUIDs of the volumes to offer, whatever they are for. Default: those that this machine would use. */
  readonly volumes?: readonly string[]
}

/** A volume that an attachment offers, under the id that its node gets. */
export interface Offer {
  readonly id: string
  readonly designator: Designator | null
  readonly volume: UsableVolume
  readonly source: Source
  /** The root hash and tree that cover it. */
  readonly protection: (Verity & { readonly trusted: true }) | undefined
  readonly readOnly: boolean
}

/**
 * The volumes of a dissected image that an attachment offers: those requested, or those that this machine would use.
 * @throws ERR_DDI_NOTHING_TO_ATTACH, ERR_DDI_NO_VOLUME, ERR_DDI_NAME if two would have one id, ERR_DDI_NOT_COVERED,
 *   ERR_DDI_SIGNATURE_UNTRUSTED, and the defect of a requested volume
 */
export function offersOf(dissection: Dissection, options: OfferOptions): readonly [Offer, ...Offer[]] {
  if (!options.volumes) refuseUncovered(dissection)
  const [first, ...others] = options.volumes
    ? chosen(dissection, options.volumes, options)
    : [...dissection.roles].map(([designator, volume]) => offer(dissection, designator, designator, volume, options))
  if (!first)
    throw new DdiError(
      'ERR_DDI_NOTHING_TO_ATTACH',
      `${dissection.image.name} has nothing to attach here${reason(dissection)}`,
    )
  const offers = [first, ...others] as const
  if (requiresKernel(dissection.signature)) for (const one of offers) refuseUnsigned(dissection, one)
  return offers
}

/** The kernel has to verify signatures, whoever else does. */
export function requiresKernel(mode: SignatureMode): boolean {
  return mode === 'kernel' || mode === 'both'
}

function offer(
  { image, verity }: Dissection,
  id: string,
  designator: Designator | null,
  volume: UsableVolume,
  { writable = false }: OfferOptions,
): Offer {
  const pair = [...verity.values()].find(({ data }) => data === volume)
  const protection = pair?.trusted ? pair : undefined
  return {
    id,
    designator,
    volume,
    source: extentSource(image.source, volume.extents),
    protection,
    readOnly: !writable || volume.flags.readOnly || protection !== undefined,
  }
}

/** The volumes of labels or UUIDs. No id of a volume has a hyphen, so that none is that of a node under another. */
function chosen(dissection: Dissection, names: readonly string[], options: OfferOptions): readonly Offer[] {
  const { image, volumes } = dissection
  const offers = names.map((name) => {
    const volume = requireWhole(findByName(volumes, name, image.name))
    const id = (volume.label || volume.uuid || 'image').replace(/[^A-Za-z0-9._+@=]/g, '_')
    return offer(dissection, id, null, volume, options)
  })
  const twin = offers.find(({ id }, index) => offers.findIndex((other) => other.id === id) < index)
  if (twin)
    throw new DdiError('ERR_DDI_NAME', `two of the requested volumes would be named ${twin.id}: attach one at a time`)
  return offers
}

/** @throws ERR_DDI_NOT_COVERED if a root hash is known, and a root or usr volume would be used that none covers */
export function refuseUncovered({ image, roles, verity }: Dissection): void {
  if (![...verity.values()].some((one) => one.trusted)) return
  for (const designator of ['root', 'usr'] as const) {
    if (roles.has(designator) && !verity.get(designator)?.trusted)
      throw new DdiError(
        'ERR_DDI_NOT_COVERED',
        `no root hash covers the ${designator} volume of ${image.name}, while one covers its ${designator === 'root' ? 'usr' : 'root'} volume`,
      )
  }
}

/** The kernel can only verify a signature that is there. */
function refuseUnsigned({ image }: Dissection, { id, volume, protection }: Offer): void {
  const needsOne = protection || volume.designator === 'root' || volume.designator === 'usr'
  if (needsOne && !protection?.signature)
    throw new DdiError(
      'ERR_DDI_SIGNATURE_UNTRUSTED',
      `${id} of ${image.name} has no trusted signature of a root hash for the kernel to verify`,
    )
}

/** Why nothing is offered. */
function reason({ volumes }: Dissection): string {
  const foreign = new Set(
    volumes.flatMap(({ designator, architecture }) =>
      architecture && (designator === 'root' || designator === 'usr') ? [architecture] : [],
    ),
  )
  if (foreign.size > 0) return `: its volumes are for ${[...foreign].join(', ')}`
  return volumes.length > 0 ? `: no type of its ${volumes.length} partitions says what it is for` : ''
}
