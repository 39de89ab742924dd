import { mkdir, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { copy } from '../bytes/copy.js'
import { extentSource } from '../bytes/extents.js'
import { writeNewFile } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import { dissect, dissectOptionNames, requireProbed } from '../image/dissect.js'
import type { Dissection, UsableVolume } from '../image/dissection.js'
import { luks } from '../image/luks.js'
import { refuseKernelTrust, refuseUncovered } from '../image/offers.js'
import type { Image } from '../image/open.js'
import { pickOptions } from '../options.js'
import { checkedSource } from '../verity/checked.js'
import { isMountable } from './arguments.js'
import { type ExtractedFiles, inWalkOrder, isWithin, type Tree, type TreeEntry } from './entries.js'
import { extractors, settle } from './extractors.js'
import type { MountOptions } from './options.js'
import { findPlace, type Placed, type Placement, placements, refuseAstray } from './places.js'
import type { Root } from './root.js'

/** A volume whose files are in the tree. */
interface ExtractedVolume {
  /** Where it is in the tree; '' for the root. */
  readonly place: string
  readonly files: ExtractedFiles
}

/** The volumes of an image whose files were taken out of them. */
export interface ExtractedImage {
  /** For messages. */
  readonly name: string
  /** The root of the tree. */
  readonly target: string
  readonly tools: ReadonlySet<string>
  readonly volumes: readonly ExtractedVolume[]
  readonly unread: readonly string[]
}

/** @param root opened on the target of the extracted image */
export function extractedTree(root: Root, { name: image, tools, volumes, unread }: ExtractedImage): Tree {
  return {
    source: { kind: 'tool', tool: [...tools].join(', ') },
    root,
    async *entries() {
      if (unread.length > 0)
        throw new DdiError(
          'ERR_DDI_PERMISSION',
          `${image}: ${unread.join(', ')} can only be read if it is mounted (run as root?)`,
        )
      let all: readonly TreeEntry[] = []
      for (const { place, files } of volumes) {
        const listed = (await files.list()).map((entry) => ({ ...entry, path: join(place, entry.path, '.') }))
        all = [...all.filter(({ path }) => !isWithin(path, place)), ...listed]
      }
      yield* inWalkOrder(all.filter(({ path }) => path !== '.'))
    },
    async attribute(path, attribute) {
      const volume = volumes.findLast(({ place }) => isWithin(path, place))
      return await volume?.files.attribute(relative(volume.place, path), attribute)
    },
    unread,
  }
}

/**
 * Takes the files of an image out of its volumes, into one tree as mounts would make it. The places of volumes that no tool
 * reads are missing.
 * @param directory for the tree and what it is made from
 */
export async function extractImage(image: Image, directory: string, options: MountOptions): Promise<ExtractedImage> {
  const dissection = await dissect(image, { probe: 'used', ...pickOptions(options, dissectOptionNames) })
  requireProbed(dissection)
  refuseKernelTrust(dissection)
  refuseUncovered(dissection, [...dissection.roles.values()])
  const found = placements((designator) => dissection.roles.get(designator), options.designators)
  if (found.length === 0) throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${image.name} has no files to read here`)
  for (const placement of found) refuseUnread(image, placement)
  const target = join(directory, 'tree')
  await mkdir(target, { mode: 0o700 })
  const placed: Placed[] = []
  const volumes: ExtractedVolume[] = []
  const unread: string[] = []
  const tools = new Set<string>()
  for (const placement of found) {
    const place = await pathOfPlace(target, placement, placed, image.name)
    if (place === undefined) continue
    placed.push({ designator: placement.designator, path: place, readOnly: true })
    await rm(place, { recursive: true, force: true })
    const extractor = extractors[typeOf(placement)]
    if (!extractor) {
      unread.push(relative(target, place))
      continue
    }
    const file = join(directory, placement.designator)
    await copyVolume(dissection, placement.volume, file, options)
    volumes.push({ place: relative(target, place), files: await extractor.extract(file, place, options.signal) })
    await settle(Buffer.from(place), options.signal)
    tools.add(extractor.tool)
  }
  await refuseAstray(target, placed, image.name)
  return { name: image.name, target, tools, volumes, unread }
}

async function pathOfPlace(
  target: string,
  placement: Placement<UsableVolume>,
  placed: readonly Placed[],
  image: string,
): Promise<string | undefined> {
  await using place = await findPlace(target, placement, async () => placed, image)
  return await place?.realPath()
}

function typeOf({ volume }: Placement<UsableVolume>): string {
  return volume.fileSystem?.type ?? ''
}

/** The volumes of the system have to be readable; others may be left out. */
function refuseUnread(image: Image, placement: Placement<UsableVolume>): void {
  const { designator } = placement
  const type = typeOf(placement)
  if (extractors[type] || (designator !== 'root' && designator !== 'usr')) return
  throw new DdiError(
    isMountable(type) || type === luks ? 'ERR_DDI_PERMISSION' : 'ERR_DDI_FILE_SYSTEM',
    `${image.name}: without privileges ${Object.keys(extractors).join(', ')} can be read, and its ${designator} volume holds ${type || 'no known file system'}`,
  )
}

/** Writes a volume to a file; one that a root hash covers is verified as it is read. */
async function copyVolume(
  { image, verity }: Dissection,
  volume: UsableVolume,
  file: string,
  { signal, onProgress }: MountOptions,
): Promise<void> {
  const bytes = extentSource(image.source, volume.extents)
  const pair = [...verity.values()].find(({ data }) => data === volume)
  const source = pair?.trusted ? await checkedSource(pair.superblock, bytes, pair.hash.source, pair.rootHash) : bytes
  await writeNewFile(file, source.size, (target) => copy(source, target, { sparse: true, signal, onProgress }))
}
