import { addon, mountFlags } from '../../bindings/addon.js'
import { DdiError, systemError } from '../errors.js'
import { dissect } from '../image/dissect.js'
import { type DissectedVolume, type Dissection, isCovered } from '../image/dissection.js'
import { type Image, openImage } from '../image/open.js'
import { type CorruptionAction, plan } from '../image/plan.js'
import type { ImagePolicy } from '../image/policy.js'
import type { ProtectedDesignator } from '../image/root-hash-sources.js'
import { requireSound } from '../image/verify.js'
import { parameterValue } from '../kernel-command-line.js'
import { type MountedImage, mountImage } from '../mount/mount.js'
import type { MountOptions } from '../mount/options.js'
import { overlay } from '../mount/overlay.js'
import type { ImageKind } from '../pull/names.js'
import type { StoreImage } from '../store/image.js'
import { openStored } from '../store/open.js'
import type { Work } from '../work.js'
import type { BootParameters } from './parameters.js'
import { dissectOptionsOf, type Trust } from './trust.js'
import { mountOverUsr } from './volatile.js'

/** Where the bytes of an image are. */
export interface ImagePlace {
  /** Of a file, device or directory that is the image; of the disk, if it is one of a store. */
  readonly path: string
  readonly stored?: StoreImage
}

/** What covers the volumes of an image, in hexadecimal. */
export type RootHashes = ReadonlyMap<ProtectedDesignator, string>

/** What people call it. */
export function describePlace({ path, stored }: ImagePlace): string {
  return stored ? `${stored.label} on ${path}` : path
}

async function openPlace({ path, stored }: ImagePlace): Promise<Image> {
  return stored ? await openStored(path, stored) : await openImage(path)
}

/** What is to be the root of the system, and what it is trusted by. */
export interface RootImage extends ImagePlace {
  readonly kind: ImageKind
  /** Its local name. */
  readonly name: string
  /** Where it was pulled from; null if it was here already. */
  readonly url: string | null
  /** Of the file as it was pulled, in hexadecimal; null if it was here already. */
  readonly sha256: string | null
  readonly readOnly: boolean
  readonly trust: Trust
  readonly policy: ImagePolicy | undefined
  /** The root hashes that cover its volumes, in hexadecimal. */
  readonly rootHashes: RootHashes
}

/**
 * Looks at a raw image as attaching it would, and makes nothing.
 * @param whole reads all that a signature covers: for images that others use, who may not verify each block as they read it
 * @returns the root hashes that cover its volumes
 * @throws what `openImage`, `dissect` and `plan` throw: another architecture, a policy that refuses, a wrong hash, a signature that is
 *   missing, untrusted or expired …; ERR_DDI_NOT_COVERED, ERR_DDI_VERITY_CORRUPT
 */
export async function requireTrusted(
  place: ImagePlace,
  trust: Trust,
  {
    policy,
    whole,
    signal,
  }: { readonly policy: ImagePolicy | undefined; readonly whole: boolean } & Pick<Work, 'signal'>,
): Promise<RootHashes> {
  await using image = await openPlace(place)
  const dissection = await dissect(image, { probe: 'used', ...dissectOptionsOf(trust, policy) })
  plan(dissection)
  if (whole && trust.by === 'signature') {
    requireNothingElse(dissection)
    await requireSound(dissection, { signal })
  }
  return new Map(
    [...dissection.verity].flatMap(([designator, one]) =>
      one.trusted ? [[designator, Buffer.from(one.rootHash).toString('hex')]] : [],
    ),
  )
}

/**
 * Whoever uses an image after us may choose another volume of it than we do.
 * @throws ERR_DDI_NOT_COVERED if there is one that neither a root hash covers nor says of a covered one what it has to be
 */
function requireNothingElse({ image, volumes, verity }: Dissection): void {
  const covered: readonly DissectedVolume[] = [...verity.values()].filter(isCovered).map(({ data }) => data)
  const other = volumes.find((one) => !/-verity(?:-sig)?$/.test(one.designator ?? '') && !covered.includes(one))
  if (other)
    throw new DdiError(
      'ERR_DDI_NOT_COVERED',
      `the volume ${other.label || other.uuid} of ${image.name} is not covered by a root hash: whoever uses the image might choose it`,
    )
}

/** What else the command line says of mounting a root. */
export type RootParameters = Pick<BootParameters, 'text' | 'rootFlags' | 'volatile'>

/** The volumes that hold the system. Without a policy that says so, no others are mounted of an image from a server. */
const systemDesignators: readonly ProtectedDesignator[] = ['root', 'usr']

/**
 * Mounts a raw image, or binds a tree, as the root of a system: as it is, under a layer in memory, or as the /usr of a root in memory.
 * @param sysroot a directory that exists
 * @returns what undoes that
 * @throws what `mountImage` throws, ERR_DDI_MOUNT_POINT; nothing is left then
 */
export async function mountRootImage(
  image: RootImage,
  sysroot: string,
  parameters: RootParameters,
  signal?: AbortSignal | undefined,
): Promise<AsyncDisposable> {
  const mountTree = async (directory: string): Promise<AsyncDisposable> =>
    image.kind === 'tar'
      ? await bindTree(image, directory, parameters)
      : await mountRaw(image, directory, parameters, signal)
  return parameters.volatile === 'yes' ? await mountOverUsr(sysroot, mountTree) : await mountTree(sysroot)
}

async function mountRaw(
  { trust, policy, rootHashes, ...place }: RootImage,
  directory: string,
  { text, rootFlags, volatile }: RootParameters,
  signal: AbortSignal | undefined,
): Promise<MountedImage> {
  await using image = await openPlace(place)
  const onCorruption = corruptionAction(text)
  const inMemoryOverlay = volatile === 'overlay'
  // A layer in memory is as writable as executable, or no system runs from it.
  const options = [...(inMemoryOverlay ? ['exec', 'suid'] : []), ...(rootFlags === null ? [] : [rootFlags])].join(',')
  return await mountImage(image, directory, {
    ...dissectOptionsOf(trust, policy),
    ...lookedAt(rootHashes),
    inMemoryOverlay,
    // What else is on the disk of a store is for the system to mount.
    ...(place.stored && { shareDisk: true }),
    ...(onCorruption && { onCorruption }),
    ...(options !== '' && { mountOptions: { root: options, usr: options } }),
    ...(!policy &&
      trust.by !== 'nothing' && { designators: trust.by === 'download' ? systemDesignators : [...rootHashes.keys()] }),
    signal,
  })
}

/** What was looked at, and measured, is what is mounted: the disk that an image lies on may answer otherwise the second time. */
function lookedAt(rootHashes: RootHashes): Pick<MountOptions, 'rootHash' | 'usrHash'> {
  const [rootHash, usrHash] = [rootHashes.get('root'), rootHashes.get('usr')]
  return { ...(rootHash !== undefined && { rootHash }), ...(usrHash !== undefined && { usrHash }) }
}

/** What `systemd.verity_root_options=` says that the kernel does of corruption: systemd-veritysetup-generator(8). @throws ERR_DDI_USAGE */
function corruptionAction(commandLine: string): CorruptionAction | undefined {
  const given = parameterValue(commandLine, 'systemd.verity_root_options') ?? ''
  const words = given.split(',').filter((word) => word !== '')
  const unknown = words.find((word) => !Object.hasOwn(corruptionActions, word))
  if (unknown === undefined) return words.map((word) => corruptionActions[word]).at(-1)
  throw new DdiError(
    'ERR_DDI_USAGE',
    `systemd.verity_root_options= has ${unknown}: supported are ${Object.keys(corruptionActions).join(', ')}`,
  )
}

const corruptionActions: Readonly<Record<string, CorruptionAction>> = {
  'restart-on-corruption': 'restart',
  'panic-on-corruption': 'panic',
}

async function bindTree(
  { path, readOnly }: RootImage,
  directory: string,
  { volatile }: Pick<RootParameters, 'volatile'>,
): Promise<AsyncDisposable> {
  const { bind, remount, noDev } = mountFlags
  let mounts = 0
  const unmount = async () => {
    for (; mounts > 0; mounts--) await addon().unmount(directory, 0)
  }
  try {
    await addon().mount(path, directory, '', bind, '')
    mounts++
    // What /run is mounted with does not fit a system: it has set-user-ID programs.
    const flags = bind | remount | noDev | (readOnly ? mountFlags.readOnly : 0)
    await addon().mount('', directory, '', flags, '')
    if (volatile === 'overlay') await overlay(directory, { flags: noDev, data: '' })
    return { [Symbol.asyncDispose]: unmount }
  } catch (error) {
    await unmount()
    throw systemError(error, `cannot bind ${path} to ${directory}`, { ENOENT: 'ERR_DDI_MOUNT_POINT' })
  }
}
