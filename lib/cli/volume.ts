import { randomUUID } from 'node:crypto'
import { probeFileSystem } from '../../bindings/blkid.js'
import { attachedDevice, openDisk } from '../attach/disk.js'
import { prepareResize } from '../attach/resize-file-system.js'
import { type FileSource, openFile } from '../bytes/file.js'
import { type Disk, readDisk } from '../disk/disk.js'
import { foundExtents, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { parseSize } from '../size.js'
import { printable } from '../text.js'
import { untilInterrupted } from './interrupt.js'
import { checkedUuid, type JsonOption } from './options.js'
import { describeExtents, formatSize, print, printJson, printLayout, printTable, segmentCount } from './output.js'
import { checkedLabel, typeUuidOf } from './volume-head.js'

export interface CreateVerbOptions extends JsonOption {
  readonly type: string
  readonly arch?: string
  readonly size?: string
  readonly label?: string
  readonly uuid?: string
  readonly from?: string
}

export interface ChangeVerbOptions extends JsonOption {
  readonly size: string
  readonly force?: boolean
  readonly resizeFs?: boolean
}

export interface RenameVerbOptions extends JsonOption {
  readonly label?: string
  readonly uuid?: string
}

/** Opens a disk for one change, tells the volume that it left, and closes it. */
async function change(path: string, { json }: JsonOption, how: (disk: Disk) => Promise<WholeVolume>): Promise<void> {
  await using disk = await openDisk(path)
  const volume = await how(disk)
  const { designator, architecture, uuid, typeUuid, label, flags, size, extents } = volume
  if (json !== 'off')
    printJson({ designator, architecture, uuid, typeUuid, label, flags, size, extents: describeExtents(extents) }, json)
  else print(`${printable(label || uuid!)}: ${formatSize(size)} in ${segmentCount(extents.length)}`)
}

export async function runCreate(path: string, options: CreateVerbOptions): Promise<void> {
  const from: FileSource | undefined = options.from === undefined ? undefined : await openFile(options.from)
  try {
    const size = options.size === undefined ? from?.size : parseSize(options.size)
    if (size === undefined) throw new DdiError('ERR_DDI_USAGE', 'give --size, or --from a file whose size it takes')
    const uuid = options.uuid === undefined ? randomUUID() : checkedUuid(options.uuid)
    const head = {
      typeUuid: typeUuidOf(options.type, options.arch),
      uuid,
      label: checkedLabel(options.label ?? ''),
      attributes: 0n,
    }
    const signal = untilInterrupted()
    await change(path, options, (disk) => disk.create(head, size, { signal, ...(from && { from }) }))
  } finally {
    await from?.close()
  }
}

export async function runGrow(path: string, name: string, options: ChangeVerbOptions): Promise<void> {
  const by = parseSize(options.size)
  await change(path, options, async (disk) => {
    const resize = options.resizeFs ? await resizeOf(disk, name) : undefined
    const volume = await disk.grow(disk.find(name), by)
    await resize?.()
    return volume
  })
}

/** Finds out how the file system of an attached volume is resized, before anything changes. */
async function resizeOf(disk: Disk, name: string): Promise<() => Promise<void>> {
  const device = await attachedDevice(disk.find(name), disk.path)
  if (device === undefined)
    throw new DdiError(
      'ERR_DDI_NOT_ATTACHED',
      `${name} is not attached, which --resize-fs needs: attach it with --read-write`,
    )
  await using source = await openFile(device)
  return await prepareResize(device, probeFileSystem(source.fd, device, 0, source.size)?.type ?? null)
}

export async function runShrink(path: string, name: string, options: ChangeVerbOptions): Promise<void> {
  const by = parseSize(options.size)
  await change(path, options, (disk) => disk.shrink(disk.find(name), by, { force: options.force ?? false }))
}

export async function runRename(path: string, name: string, options: RenameVerbOptions): Promise<void> {
  if (options.label === undefined && options.uuid === undefined)
    throw new DdiError('ERR_DDI_USAGE', 'give --label or --uuid, or both')
  const label = options.label === undefined ? {} : { label: checkedLabel(options.label) }
  const uuid = options.uuid === undefined ? {} : { uuid: checkedUuid(options.uuid) }
  await change(path, options, (disk) => disk.rename(disk.find(name), { ...label, ...uuid }))
}

export async function runRemove(path: string, name: string): Promise<void> {
  await using disk = await openDisk(path)
  await disk.remove(disk.find(name))
}

export async function runDefragment(path: string, { json }: JsonOption): Promise<void> {
  await using disk = await openDisk(path)
  const moved = await disk.defragment({ signal: untilInterrupted() })
  if (json !== 'off')
    printJson({ moved: moved.map(({ uuid, extents }) => ({ uuid, extents: describeExtents(extents) })) }, json)
  else
    for (const { label, uuid, extents } of moved)
      print(`${printable(label || uuid!)}: now in ${segmentCount(extents.length)}`)
}

export async function runCheck(
  path: string,
  { json, repair = false }: JsonOption & { repair?: boolean },
): Promise<void> {
  const findings = await checkDisk(path, repair)
  if (json !== 'off') printJson({ findings, repaired: repair && findings.length > 0 }, json)
  else for (const finding of findings) print(`${repair ? 'repaired: ' : ''}${printable(finding)}`)
}

async function checkDisk(path: string, repair: boolean): Promise<readonly string[]> {
  await using disk = await openDisk(path)
  return await disk.check({ repair })
}

export async function runListVolumes(path: string, { json }: JsonOption): Promise<void> {
  await using disk = await openFile(path)
  const { volumes, orphans, free } = await readDisk(disk)
  if (json !== 'off') {
    const shown = volumes.map((volume) => ({
      designator: volume.designator,
      uuid: volume.uuid,
      label: volume.label,
      size: volume.size,
      extents: describeExtents(foundExtents(volume)),
      defect: volume.state === 'broken' ? volume.defect.message : null,
    }))
    printJson({ volumes: shown, orphans, free }, json)
    return
  }
  await printTable(
    ['VOLUME', 'LABEL', 'SIZE', 'SEGMENTS', 'STATE', 'UUID'],
    volumes.map((volume) => [
      volume.designator,
      volume.label,
      formatSize(volume.size),
      foundExtents(volume).length,
      volume.state === 'broken' ? 'broken' : 'good',
      volume.uuid,
    ]),
  )
  const pieces = [
    ...volumes.flatMap((volume) => {
      const { label, uuid } = volume
      const extents = foundExtents(volume)
      return extents.flatMap((extent, n) =>
        extent.kind === 'linear'
          ? [{ ...extent, owner: `${label || uuid}${extents.length > 1 ? ` (${n})` : ''}` }]
          : [],
      )
    }),
    ...orphans.map((orphan) => ({ ...orphan, owner: 'orphan' })),
    ...free.map((run) => ({ ...run, owner: 'free' })),
  ]
  print('')
  await printLayout(pieces, disk.size)
}
