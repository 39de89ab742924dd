// Where the running system has a partition of a type: CopyBlocks=auto of repart.d(5).
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { deviceNumber, openFile } from '../bytes/file.js'
import { scanDisk } from '../disk/scan.js'
import { DdiError } from '../errors.js'
import { type Designator, dpsTypes, partitionTypeName } from '../gpt/dps-types.js'
import { listMounts } from '../kernel/mounts.js'
import { placements } from '../mount/places.js'

/**
 * The partition of a type that carries what is mounted where the type belongs, through verity and encryption: of the file system at
 * `/usr` those of `usr` and of `usr-verity`.
 * @param root where the system’s root is mounted
 * @returns path of its device
 * @throws ERR_DDI_DEFINITION if there is none, or more than one; as `openFile`
 */
export async function runningPartition(typeUuid: string, root: string): Promise<string> {
  const name = partitionTypeName(typeUuid) ?? typeUuid
  const found = new Set<string>()
  for (const place of placesOf(typeUuid))
    for (const partition of await partitionsUnder(join(root, place)))
      if ((await typeOf(partition)) === typeUuid) found.add(partition)
  const [only, second] = found
  if (only !== undefined && second === undefined) return join('/dev', only)
  throw new DdiError(
    'ERR_DDI_DEFINITION',
    `CopyBlocks=auto: ${second === undefined ? 'no partition' : 'more than one partition'} of type ${name} is mounted in ${root}`,
  )
}

function placesOf(typeUuid: string): readonly string[] {
  const designator = dpsTypes.get(typeUuid)?.designator.replace(/-verity(-sig)?$/, '') as Designator | undefined
  if (designator === undefined) return []
  return placements(() => typeUuid, [designator]).flatMap(({ places }) => places)
}

/** Names in /sys/class/block of the partitions that carry what is mounted at a path. */
async function partitionsUnder(path: string): Promise<readonly string[]> {
  const real = await realpath(path).catch(() => undefined)
  // A mount of the last on a path hides those before it; btrfs has numbers of its own, and says what was mounted.
  const mount = (await listMounts()).filter((one) => one.path === real).at(-1)
  if (!mount) return []
  const source = await stat(mount.source).catch(() => undefined)
  return await partitionsBelow(source?.isBlockDevice() ? deviceNumber(source.rdev) : mount.device)
}

async function partitionsBelow(number: string): Promise<readonly string[]> {
  const directory = await realpath(join('/sys/dev/block', number)).catch(() => undefined)
  if (directory === undefined) return []
  if (await isPartition(directory)) return [basename(directory)]
  const slaves = await readdir(join(directory, 'slaves')).catch(() => [])
  const below: string[] = []
  for (const slave of slaves) {
    const own = (await readFile(join(directory, 'slaves', slave, 'dev'), 'utf8')).trim()
    below.push(...(await partitionsBelow(own)))
  }
  return below
}

async function isPartition(directory: string): Promise<boolean> {
  return await stat(join(directory, 'partition')).then(
    () => true,
    () => false,
  )
}

/** The type of a partition, as the table of its disk says. @param name in /sys/class/block */
async function typeOf(name: string): Promise<string | undefined> {
  const directory = await realpath(join('/sys/class/block', name))
  const number = Number(await readFile(join(directory, 'partition'), 'utf8'))
  await using disk = await openFile(join('/dev', basename(dirname(directory))))
  const scan = await scanDisk(disk)
  return 'code' in scan ? undefined : scan.table.partitions.find((one) => one.number === number)?.typeUuid
}
