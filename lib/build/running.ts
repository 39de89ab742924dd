// Where the running system has a partition of a type: CopyBlocks=auto of repart.d(5).
import { readdir, readFile, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { openFile } from '../bytes/file.js'
import type { Run, Source } from '../bytes/source.js'
import { scanDisk } from '../disk/scan.js'
import { DdiError } from '../errors.js'
import { type Designator, dpsTypes, partitionTypeName } from '../gpt/dps-types.js'
import { listMounts, mountedDevice } from '../kernel/mounts.js'
import { placements } from '../mount/places.js'
import { largestRecord, parseSignatureRecord } from '../verity/signature.js'

/**
 * The partition of a type that carries what is mounted where the type belongs, through verity and encryption: of the file system at
 * `/usr` those of `usr`, of `usr-verity` and of `usr-verity-sig`.
 * @param root where the system’s root is mounted
 * @returns path of its device
 * @throws ERR_DDI_DEFINITION if there is none, or more than one; as `openFile`
 */
export async function runningPartition(typeUuid: string, root: string): Promise<string> {
  const type = partitionTypeName(typeUuid) ?? typeUuid
  const found = new Set<string>()
  for (const place of placesOf(typeUuid))
    for (const name of await partitionsUnder(join(root, place)))
      for (const one of await partitionsBeside(name, typeUuid)) found.add(one)
  const [only, second] = found
  if (only !== undefined && second === undefined) return join('/dev', only)
  throw new DdiError(
    'ERR_DDI_DEFINITION',
    `CopyBlocks=auto: ${second === undefined ? 'no partition' : 'more than one partition'} of type ${type} is mounted in ${root}`,
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
  // The last mount on a path hides those before it.
  const mount = (await listMounts()).filter((one) => one.path === real).at(-1)
  return mount ? await partitionsBelow(await mountedDevice(mount)) : []
}

async function partitionsBelow(number: string): Promise<readonly string[]> {
  const directory = await realpath(join('/sys/dev/block', number)).catch(() => undefined)
  if (directory === undefined) return []
  if (await exists(join(directory, 'partition'))) return [basename(directory)]
  const slaves = await readdir(join(directory, 'slaves')).catch(() => [])
  const below: string[] = []
  for (const slave of slaves) {
    const own = (await readFile(join(directory, 'slaves', slave, 'dev'), 'utf8')).trim()
    below.push(...(await partitionsBelow(own)))
  }
  return below
}

/**
 * A partition itself, if it is of the type; for a type of signatures, those on its disk that are of the root hash of its data.
 * @param name in /sys/class/block
 */
async function partitionsBeside(name: string, typeUuid: string): Promise<readonly string[]> {
  const directory = await realpath(join('/sys/class/block', name))
  const number = Number(await readFile(join(directory, 'partition'), 'utf8'))
  const diskName = basename(dirname(directory))
  await using disk = await openFile(join('/dev', diskName))
  const scan = await scanDisk(disk)
  if ('code' in scan) return []
  const own = scan.table.partitions.find((one) => one.number === number)
  if (own?.typeUuid === typeUuid) return [name]
  if (!dpsTypes.get(typeUuid)?.designator.endsWith('-verity-sig')) return []
  const beside: string[] = []
  for (const one of scan.table.partitions)
    if (own && one.typeUuid === typeUuid && (await signedHash(disk, one))?.startsWith(own.uuid.replaceAll('-', '')))
      beside.push(`${diskName}${/\d$/.test(diskName) ? 'p' : ''}${one.number}`)
  return beside
}

/** The root hash that a signature partition is of, in hexadecimal. */
async function signedHash(disk: Source, { start, length }: Run): Promise<string | undefined> {
  const bytes = await disk.read(start, Math.min(length, largestRecord))
  try {
    return Buffer.from(parseSignatureRecord(bytes).rootHash).toString('hex')
  } catch {
    return undefined
  }
}
