// fstab(5) and crypttab(5) for an image, by MountPoint= and EncryptedVolume= of its definitions.
import { createHmac } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { exists } from '../bytes/exists.js'
import { writeNewFile } from '../bytes/new-file.js'
import { readSmallFile } from '../bytes/small-file.js'
import { DdiError, systemError } from '../errors.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { resolveInRoot } from '../mount/root.js'
import type { BuildContext } from './context.js'
import type { Named } from './draft.js'
import { fileSystemUuid, luksUuid } from './identifiers.js'
import type { BuildFormat, PartitionDefinition } from './partition-definition.js'

const heading = '# Made of MountPoint= and EncryptedVolume= in the definitions of the image.\n'

/**
 * Writes the tables that were asked for into the tree that is copied from, so that they are part of the image. Those of an earlier build
 * are replaced.
 * @throws ERR_DDI_EXISTS for a file of somebody else, ERR_DDI_NOT_FOUND for a directory that is missing, ERR_DDI_PERMISSION
 */
export async function writeMountTables(
  partitions: readonly Named[],
  { copySource, fstab, crypttab, dryRun, added }: BuildContext,
): Promise<void> {
  if (dryRun) return
  if (fstab !== undefined) await writeInTree(copySource, fstab, fstabOf(partitions), added)
  if (crypttab !== undefined) await writeInTree(copySource, crypttab, crypttabOf(partitions), added)
}

async function writeInTree(tree: string, path: string, text: string, added: Set<string>): Promise<void> {
  try {
    const at = join(await resolveInRoot(tree, posix.dirname(path)), posix.basename(path))
    const isNew = !(await exists(at))
    const bytes = Buffer.from(text)
    await writeNewFile(at, bytes.length, async (file) => await file.write(0, bytes), {
      replace: !isNew && (await isOurs(at)),
    })
    if (isNew) added.add(at)
  } catch (error) {
    throw systemError(error, `cannot write ${path} of ${tree}`)
  }
}

async function isOurs(path: string): Promise<boolean> {
  if (!(await lstat(path)).isFile()) return false
  return (await readSmallFile(path)).subarray(0, heading.length).toString('latin1') === heading
}

/** The lines of fstab(5). */
function fstabOf(partitions: readonly Named[]): string {
  const lines = partitions.flatMap(({ definition, uuid }) => {
    const { format, mountPoints, typeUuid } = definition
    return format === null
      ? []
      : mountPoints.map(({ path, options }) => {
          const all = [...usualOptions(definition), ...(options === '' ? [] : [options])].join(',')
          const pass = dpsTypes.get(typeUuid)?.designator === 'root' ? 1 : 2
          return `UUID=${identity(format, fileSystemUuid(uuid))} ${path} ${format} ${all} 0 ${pass}\n`
        })
  })
  return heading + lines.join('')
}

/** The lines of crypttab(5). */
function crypttabOf(partitions: readonly Named[]): string {
  const lines = partitions.flatMap((partition) => {
    const { encrypt, encryptedVolume } = partition.definition
    if (!encrypt) return []
    const luks = luksUuid(partition.uuid)
    const { keyFile = '', options = '', fixesKey = false } = encryptedVolume ?? {}
    const name = encryptedVolume?.name || `luks-${luks}`
    const fixed = fixesKey ? `fixate-volume-key=${volumeKeyId(name, luks, partition)}` : ''
    const all = [options, fixed].filter((one) => one !== '').join(',')
    return [`${name} UUID=${luks} ${keyFile || '-'} ${all || '-'}\n`]
  })
  return heading + lines.join('')
}

/**
 * By what crypttab(5) knows the key of a volume: a keyed hash of its name and UUID.
 * @throws ERR_DDI_DEFINITION if the key is not made now
 */
function volumeKeyId(name: string, luks: string, { volumeKey, definition: { path } }: Named): string {
  if (!volumeKey)
    throw new DdiError(
      'ERR_DDI_DEFINITION',
      `${path}: EncryptedVolume=: fixate-volume-key is of a key that is made now, and the partition is there already`,
    )
  const escaped = Buffer.from(name)
    .toString('latin1')
    .replace(/[^!-9;-[\]-~]/g, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return createHmac('sha256', volumeKey).update(`cryptsetup:${escaped}:${luks}`).digest('hex')
}

/** How mount(8) finds a file system: FAT has a short number. */
function identity(format: BuildFormat, uuid: string): string {
  return format === 'vfat' ? `${uuid.slice(0, 4)}-${uuid.slice(4, 8)}`.toUpperCase() : uuid
}

const discarding: readonly (BuildFormat | null)[] = ['btrfs', 'ext4', 'vfat', 'xfs']

/** As systemd mounts partitions of a type that it finds by itself. */
function usualOptions({ typeUuid, format, discard }: PartitionDefinition): readonly string[] {
  const designator = dpsTypes.get(typeUuid)?.designator
  const isBoot = designator === 'esp' || designator === 'xbootldr'
  const isBare = isBoot || designator === 'tmp'
  return [
    ...(isBoot && format === 'vfat' ? ['umask=0077'] : []),
    ...(!isBoot && discard && discarding.includes(format) ? ['discard'] : []),
    ...['rw', 'nodev', isBare ? 'nosuid' : 'suid', isBoot ? 'noexec' : 'exec'],
    ...(isBoot ? ['nosymfollow'] : []),
  ]
}
