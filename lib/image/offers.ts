import { extentSource } from '../bytes/extents.js'
import type { Source } from '../bytes/source.js'
import { findByName, requireWhole } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import {
  type DissectedVolume,
  type Dissection,
  isCovered,
  type KernelVerity,
  type TrustedVerity,
  type UsableVolume,
} from './dissection.js'
import { isOffered } from './selection.js'
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
  readonly protection: TrustedVerity | KernelVerity | undefined
  readonly readOnly: boolean
  /** Nothing in it may be executed: no root hash covers it, while one covers another volume. */
  readonly noExec: boolean
}

/**
 * The volumes of a dissected image that an attachment offers: those requested, or those that this machine would use.
 * @throws ERR_DDI_NOTHING_TO_ATTACH, ERR_DDI_NO_VOLUME, ERR_DDI_NAME if two would have one id, ERR_DDI_NOT_COVERED,
 *   ERR_DDI_SIGNATURE_UNTRUSTED, and the defect of a requested volume
 */
export function offersOf(dissection: Dissection, options: OfferOptions): readonly [Offer, ...Offer[]] {
  const [first, ...others] = options.volumes
    ? chosen(dissection, options.volumes, options)
    : [...dissection.roles].map(([designator, volume]) => offer(dissection, designator, designator, volume, options))
  if (!first)
    throw new DdiError(
      'ERR_DDI_NOTHING_TO_ATTACH',
      `${dissection.image.name} has nothing to attach here${reason(dissection)}`,
    )
  const offers = [first, ...others] as const
  refuseUncovered(
    dissection,
    offers.map(({ volume }) => volume),
  )
  return offers
}

/** The id of the node of the file that an image lies in. */
export const imageNode = 'image'

/** The kernel has to verify signatures, whoever else does. */
export function requiresKernel(mode: SignatureMode): boolean {
  return mode === 'kernel' || mode === 'both'
}

function offer(
  { image, verity, exceptions }: Dissection,
  id: string,
  designator: Designator | null,
  volume: UsableVolume,
  { writable = false }: OfferOptions,
): Offer {
  const protection = [...verity.values()].filter(isCovered).find(({ data }) => data === volume)
  return {
    id,
    designator,
    volume,
    source: extentSource(image.source, volume.extents),
    protection,
    readOnly: !writable || volume.flags.readOnly || protection !== undefined,
    noExec: exceptions.get(volume) === 'noexec',
  }
}

/** The id of the node of a requested volume: no hyphen, which the nodes under another have, and not that of the image’s own. */
function nodeId({ label, uuid }: UsableVolume): string {
  const id = (label || uuid || 'volume').replace(/[^A-Za-z0-9._+@=]/g, '_')
  return id === imageNode ? `_${id}` : id
}

/** The volumes of labels or UUIDs. */
function chosen(dissection: Dissection, names: readonly string[], options: OfferOptions): readonly Offer[] {
  const { image, volumes } = dissection
  const offers = names.map((name) => {
    const volume = requireWhole(findByName(volumes, name, image.name))
    return offer(dissection, nodeId(volume), null, volume, options)
  })
  const twin = offers.find(({ id }, index) => offers.findIndex((other) => other.id === id) < index)
  if (twin)
    throw new DdiError('ERR_DDI_NAME', `two of the requested volumes would be named ${twin.id}: attach one at a time`)
  return offers
}

/**
 * Whatever the caller gave to trust an image by is used or refused, never ignored: each root hash covers one of the volumes in use, one
 * covers every root or usr volume in use but the exceptions of the dissection, and if signatures were requested, each of these is
 * signed, or under a root hash of the caller's own.
 * @throws ERR_DDI_NOT_COVERED, ERR_DDI_SIGNATURE_UNTRUSTED
 */
export function refuseUncovered(dissection: Dissection, offered: readonly UsableVolume[]): void {
  // Hash trees and signatures protect other volumes.
  const used = offered.filter(({ designator }) => !/-verity(-sig)?$/.test(designator ?? ''))
  if (used.length === 0) return
  refuseUnusedHash(dissection, used)
  const systems = used.filter((volume) => needsCover(dissection, volume))
  const pairs = [...dissection.verity.values()].filter(isCovered)
  const bare = systems.find((volume) => pairs.length > 0 && !pairs.some(({ data }) => data === volume))
  if (bare)
    throw new DdiError(
      'ERR_DDI_NOT_COVERED',
      `no root hash covers ${describe(bare)} of ${dissection.image.name}, while one covers another volume of it`,
    )
  if (dissection.given.signatures) refuseUnsigned(dissection, used, pairs.filter(vouchedFor(dissection)))
}

/** @throws ERR_DDI_NOT_COVERED for a root hash that covers nothing of what is used, though it was given for that */
function refuseUnusedHash({ image, roles, verity, given }: Dissection, used: readonly UsableVolume[]): void {
  for (const [designator, source] of given.rootHashes) {
    const pair = verity.get(designator)
    const data = pair?.data ?? roles.get(designator)
    const isUsed = data !== undefined && used.includes(data)
    if (isUsed ? !isCovered(pair) : source === 'option')
      throw new DdiError(
        'ERR_DDI_NOT_COVERED',
        `the root hash for the ${designator} volume of ${image.name} covers nothing of what would be used`,
      )
  }
}

/**
 * Certificates are one way to trust a root hash, and the caller's own needs none. Whoever is named to verify signatures has to
 * find one.
 */
function vouchedFor({ signature: mode }: Dissection) {
  return ({ signature, rootHashSource }: TrustedVerity | KernelVerity) =>
    signature !== null || (mode === 'auto' && rootHashSource === 'option')
}

/** @param vouched for by a signature, or by the caller */
function refuseUnsigned(
  dissection: Dissection,
  used: readonly UsableVolume[],
  vouched: readonly { readonly data: UsableVolume }[],
): void {
  const { image, signature } = dissection
  const signed = vouched.map(({ data }) => data)
  const unsigned =
    used.find((volume) => needsCover(dissection, volume) && !signed.includes(volume)) ??
    (used.some((volume) => signed.includes(volume)) ? undefined : used[0])
  if (!unsigned) return
  const of = `${describe(unsigned)} of ${image.name}`
  const [problem] = dissection.problems
  throw new DdiError(
    problem?.code ?? 'ERR_DDI_SIGNATURE_UNTRUSTED',
    requiresKernel(signature)
      ? `${of} has no trusted signature of a root hash for the kernel to verify`
      : `no trusted certificate signed a root hash for ${of}${problem ? `: ${problem.message}` : ''}`,
  )
}

function describe({ designator, label, uuid }: UsableVolume): string {
  return `the ${designator ?? 'unknown'} volume${label || uuid ? ` ${JSON.stringify(label || uuid)}` : ''}`
}

/** Holds the system, or what would be used as such, and is no exception. */
function needsCover({ roles, exceptions }: Dissection, volume: UsableVolume): boolean {
  if (exceptions.has(volume)) return false
  return (['root', 'usr'] as const).some((one) => volume.designator === one || roles.get(one) === volume)
}

/**
 * The kernel is asked to verify a signature as a device is made, and never else.
 * @throws ERR_DDI_SIGNATURE_KERNEL if it was to verify signatures
 */
export function refuseKernelTrust({ image, signature }: Dissection): void {
  if (requiresKernel(signature))
    throw new DdiError(
      'ERR_DDI_SIGNATURE_KERNEL',
      `the kernel verifies the signatures of ${image.name} only when it is attached or mounted, which it is not for this`,
    )
}

/** Why nothing is offered. */
function reason({ volumes, architectures, unused }: Dissection): string {
  if (unused.length > 0) return `: the image policy leaves its ${unused.join(', ')} unused`
  const systems = volumes.filter(({ designator }) => designator === 'root' || designator === 'usr')
  const isForeign = ({ architecture }: DissectedVolume) =>
    architecture !== null && !architectures.includes(architecture)
  const foreign = systems.length > 0 && systems.every(isForeign)
  if (foreign)
    return `: its volumes are for ${[...new Set(systems.map(({ architecture }) => architecture))].join(', ')}, and not for ${architectures.join(', ')}`
  const hidden = volumes.filter((one) => one.designator !== null && !isOffered(one) && !isForeign(one))
  if (hidden.length > 0)
    return `: flags or the label _empty keep its ${[...new Set(hidden.map(({ designator }) => designator))].join(', ')} from being used by default`
  const generics = volumes.filter(({ designator }) => designator === 'linux-generic')
  if (generics.length > 1)
    return `: ${generics.length} of its partitions are of the generic Linux type, which makes one the root only if there is no other`
  return volumes.length > 0 ? `: no type of its ${volumes.length} partitions says what it is for` : ''
}
