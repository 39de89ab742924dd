// fstab(5) and crypttab(5) for an image, by MountPoint= and EncryptedVolume= of its definitions.
import { writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { systemError } from '../errors.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { resolveInRoot } from '../mount/root.js'
import type { BuildContext } from './context.js'
import type { Named } from './draft.js'
import { fileSystemUuid, luksUuid } from './identifiers.js'
import type { BuildFormat } from './partition-definition.js'

const heading = '# Made of MountPoint= and EncryptedVolume= in the definitions of the image.\n'

/**
 * Writes the tables that were asked for into the tree that is copied from, so that they are part of the image.
 * @throws ERR_DDI_NOT_FOUND for a directory that is missing, ERR_DDI_PERMISSION
 */
export async function writeMountTables(
  partitions: readonly Named[],
  { copySource, fstab, crypttab, dryRun }: Pick<BuildContext, 'copySource' | 'fstab' | 'crypttab' | 'dryRun'>,
): Promise<void> {
  if (dryRun) return
  if (fstab !== undefined) await writeInTree(copySource, fstab, fstabOf(partitions))
  if (crypttab !== undefined) await writeInTree(copySource, crypttab, crypttabOf(partitions))
}

async function writeInTree(tree: string, path: string, text: string): Promise<void> {
  try {
    const directory = await resolveInRoot(tree, posix.dirname(path))
    await writeFile(join(directory, posix.basename(path)), text)
  } catch (error) {
    throw systemError(error, `cannot write ${path} of ${tree}`)
  }
}

/** The lines of fstab(5). */
function fstabOf(partitions: readonly Named[]): string {
  const lines = partitions.flatMap(({ definition: { format, mountPoints, typeUuid }, uuid }) =>
    format === null
      ? []
      : mountPoints.map(({ path, options }) => {
          const all = [...usualOptions(typeUuid, format), ...(options === '' ? [] : [options])].join(',')
          const pass = dpsTypes.get(typeUuid)?.designator === 'root' ? 1 : 2
          return `UUID=${identity(format, fileSystemUuid(uuid))} ${path} ${format} ${all} 0 ${pass}\n`
        }),
  )
  return heading + lines.join('')
}

/** The lines of crypttab(5). */
function crypttabOf(partitions: readonly Named[]): string {
  const lines = partitions.flatMap(({ definition: { encrypt, encryptedVolume }, uuid }) => {
    if (!encrypt) return []
    const luks = luksUuid(uuid)
    const { name = '', keyFile = '', options = '' } = encryptedVolume ?? {}
    return [`${name || `luks-${luks}`} UUID=${luks} ${keyFile || '-'} ${options || '-'}\n`]
  })
  return heading + lines.join('')
}

/** How mount(8) finds a file system: FAT has a short number. */
function identity(format: BuildFormat, uuid: string): string {
  return format === 'vfat' ? `${uuid.slice(0, 4)}-${uuid.slice(4, 8)}`.toUpperCase() : uuid
}

const discarding: readonly BuildFormat[] = ['btrfs', 'ext4', 'vfat', 'xfs']

/** As systemd mounts partitions of a type that it finds by itself. */
function usualOptions(typeUuid: string, format: BuildFormat): readonly string[] {
  const designator = dpsTypes.get(typeUuid)?.designator
  const isBoot = designator === 'esp' || designator === 'xbootldr'
  const isBare = isBoot || designator === 'tmp'
  return [
    ...(isBoot && format === 'vfat' ? ['umask=0077'] : []),
    ...(!isBoot && discarding.includes(format) ? ['discard'] : []),
    ...['rw', 'nodev', isBare ? 'nosuid' : 'suid', isBoot ? 'noexec' : 'exec'],
    ...(isBoot ? ['nosymfollow'] : []),
  ]
}
