import { readFile } from 'node:fs/promises'
import type { DmDevice } from '../../bindings/addon.js'
import { DdiError } from '../errors.js'
import { type DeviceMapper, formatDevice, mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'
import { type ListedLoop, listLoops, loopBackings } from '../kernel/loop.js'
import { loopReferences } from '../kernel/loop-references.js'
import { mappedBySysfs, mapperName } from '../kernel/mapped-by-sysfs.js'
import type { LinearTarget } from '../kernel/targets.js'
import { type DeviceMark, type LoopMark, parseDeviceUuid, parseLoopReference, uuidPrefix } from './names.js'

/** A volume of an attachment, as the kernel has it. */
export interface ListedVolume {
  /** What it is for; of a volume attached by its label or UUID, what its device is named after. */
  readonly designator: string
  /** The path to mount. */
  readonly device: string
  readonly verified: boolean
}

/** What the kernel holds of one attachment. */
export interface ListedAttachment {
  readonly name: string
  /** Path of the image or block device; null if the kernel does not say. */
  readonly image: string | null
  /** `partial`: left by an attach that was killed; `detach` removes it. */
  readonly state: 'active' | 'partial'
  readonly volumes: readonly ListedVolume[]
  /** Paths of all its devices, those on top first. */
  readonly devices: readonly string[]
}

/** A device-mapper device of ours. */
export interface FoundDevice extends DmDevice, DeviceMark {
  /** `major:minor` of the devices under it. */
  readonly under: readonly string[]
}

/** A loop device of ours. */
export interface FoundLoop extends ListedLoop {
  readonly mark: LoopMark
}

/** What a listing needs of a device, and of an attachment. */
type ShownDevice = Pick<FoundDevice, 'name' | 'major' | 'minor' | 'active' | 'kind' | 'role' | 'node' | 'under'>
interface Shown extends Pick<FoundAttachment, 'name' | 'image'> {
  readonly mapped: readonly ShownDevice[]
  readonly loops: readonly Pick<FoundLoop, 'mark' | 'device'>[]
}

/** The kernel objects of one attachment. */
export interface FoundAttachment {
  readonly name: string
  /** Those on top first. */
  readonly mapped: readonly FoundDevice[]
  readonly loops: readonly FoundLoop[]
  readonly image: string | null
}

/**
 * Lists what is attached, by any process. All of it is read from the kernel: there is no state file to go stale. Without
 * privileges, it is what sysfs and udev tell: of volumes that are loop devices by themselves, nothing before systemd 254.
 * @throws ERR_DDI_KERNEL
 */
export async function list(): Promise<readonly ListedAttachment[]> {
  try {
    return await Promise.all((await findAttachments()).map(describe))
  } catch (error) {
    if (!(error instanceof DdiError && error.code === 'ERR_DDI_PERMISSION')) throw error
    return await listBySysfs()
  }
}

async function listBySysfs(): Promise<readonly ListedAttachment[]> {
  const all = await mappedBySysfs()
  const mapped = await marked({
    list: async (prefix) => all.filter(({ uuid }) => uuid.startsWith(prefix)),
    under: async ({ under }) => under,
  })
  const loops = await loopBackings()
  const marks = (await loopReferences(loops)).flatMap(({ reference, ...loop }) => {
    const mark = parseLoopReference(reference)
    return mark ? [{ ...loop, mark }] : []
  })
  const names = [...mapped.map(({ attachment }) => attachment), ...marks.map(({ mark }) => mark.attachment)]
  return await Promise.all(
    [...new Set(names)].sort().map(async (name) => {
      const devices = mapped.filter(({ attachment }) => attachment === name)
      const known = marks.filter(({ mark }) => mark.attachment === name)
      const base = await findImage(devices, known)
      const loop = known.length > 0 ? undefined : loops.find(({ device }) => device === base)
      const own = loop ? [{ device: loop.device, mark: { role: 'image', attachment: name } as const }] : known
      return await describe({ name, mapped: devices, loops: own, image: loop?.backing ?? base })
    }),
  )
}

/** Finds our device-mapper and loop devices by their marks, and groups them by attachment. */
export async function findAttachments(): Promise<readonly FoundAttachment[]> {
  const mapped = await findDevices()
  const loops = await findLoops()
  const names = new Set([...mapped.map(({ attachment }) => attachment), ...loops.map(({ mark }) => mark.attachment)])
  return await Promise.all(
    [...names].sort().map(async (name) => {
      const devices = mapped.filter(({ attachment }) => attachment === name)
      const own = loops.filter(({ mark }) => mark.attachment === name)
      return { name, mapped: devices, loops: own, image: await findImage(devices, own) }
    }),
  )
}

// What verifies is named before what does not.
const kindOrder = { crypt: 0, integrity: 1, verity: 2, linear: 3 } as const

/** What libcryptsetup makes for a LUKS volume, that below first. */
const openedKinds = [
  ['integrity', 'CRYPT-INTEGRITY'],
  ['crypt', 'CRYPT-LUKS'],
] as const

async function findDevices(): Promise<readonly FoundDevice[]> {
  const mapper = await openDeviceMapper()
  if (!mapper) return []
  try {
    return await marked<DmDevice>({
      list: (prefix) => mapper.list(prefix),
      under: (device) => devicesUnder(mapper, device),
    })
  } finally {
    await mapper[Symbol.asyncDispose]()
  }
}

/** Whoever knows device-mapper's devices. */
interface Mapped<Device> {
  /** Those whose UUID begins so. */
  list(prefix: string): Promise<readonly Device[]>
  /** `major:minor` of those under one. */
  under(device: Device): Promise<readonly string[]>
}

/** The devices with our marks, those on top first. */
async function marked<Device extends Pick<DmDevice, 'name' | 'uuid' | 'major' | 'minor'>>(mapped: Mapped<Device>) {
  const ours: (Device & DeviceMark & { readonly under: readonly string[] })[] = []
  for (const device of await mapped.list(uuidPrefix)) {
    const mark = parseDeviceUuid(device.uuid)
    if (mark) ours.push({ ...device, ...mark, under: await mapped.under(device) })
  }
  for (const [kind, prefix] of openedKinds)
    for (const device of await mapped.list(prefix)) {
      const under = await mapped.under(device)
      const opened = ours.find((one) => under.includes(formatDevice(one)))
      if (opened)
        ours.push({ ...device, kind, role: 'volume', node: opened.node, attachment: opened.attachment, under })
    }
  return topFirst(ours.sort((a, b) => kindOrder[a.kind] - kindOrder[b.kind]))
}

/** By what they stand on, which may be another attachment, or one of the same name. */
function topFirst<Device extends Pick<FoundDevice, 'major' | 'minor' | 'under'>>(devices: readonly Device[]): Device[] {
  const under = new Set(devices.flatMap((device) => device.under))
  const [tops, others] = [true, false].map((isTop) =>
    devices.filter((device) => under.has(formatDevice(device)) !== isTop),
  ) as [Device[], Device[]]
  return tops.length === 0 ? others : [...tops, ...topFirst(others)]
}

/** Devices with the extents of other devices that they are made of; those that are gone by now are left out. */
export async function linearDevices(devices: readonly FoundDevice[]) {
  const mapper = await openDeviceMapper()
  if (!mapper) return []
  try {
    const found = await Promise.all(
      devices.map(async (device) => {
        const table = await mapper.table(device.name)
        const extents = table.filter((target): target is LinearTarget => target.kind === 'linear')
        // Whether it is read-only goes with its table, and it may have been found before that.
        const now = await mapper.find(device.name)
        return now && { device: { ...device, readOnly: now.readOnly }, extents }
      }),
    )
    return found.filter((one) => one !== undefined)
  } finally {
    await mapper[Symbol.asyncDispose]()
  }
}

async function devicesUnder(mapper: DeviceMapper, { name }: DmDevice): Promise<readonly string[]> {
  return (await mapper.dependencies(name)).map(formatDevice)
}

export async function findLoops(): Promise<readonly FoundLoop[]> {
  return (await listLoops()).flatMap((loop) => {
    const mark = parseLoopReference(loop.reference)
    return mark ? [{ ...loop, mark }] : []
  })
}

/** The backing file of a loop device of ours, or the block device that ours stand on. */
async function findImage(
  mapped: readonly ShownDevice[],
  loops: readonly Pick<FoundLoop, 'mark' | 'backing' | 'deviceNumber'>[],
): Promise<string | null> {
  const loop = loops.find(({ mark }) => mark.role !== 'beside')
  if (loop) return loop.backing
  const ours = [...mapped.map(formatDevice), ...loops.map(({ deviceNumber }) => deviceNumber)]
  const base = mapped.flatMap(({ under }) => under).find((number) => !ours.includes(number))
  return base === undefined ? null : await devicePath(base)
}

async function devicePath(number: string): Promise<string | null> {
  const event = await readFile(`/sys/dev/block/${number}/uevent`, 'utf8').catch(() => '')
  const name = /^DEVNAME=(.+)$/m.exec(event)?.[1]
  return name ? `/dev/${name}` : null
}

async function describe({ name, mapped, loops, image }: Shown): Promise<ListedAttachment> {
  const under = new Set(mapped.flatMap((device) => device.under))
  const isInUse = (device: ShownDevice) => under.has(formatDevice(device))
  // A LUKS volume that is open is offered by the device on top of it.
  const volumes = [
    ...mapped
      .filter((device) => device.role === 'volume' && !isInUse(device))
      .map((device) => ({
        designator: device.node,
        device: mapperPath(device.name),
        verified: device.kind === 'verity',
      })),
    ...loops.flatMap(({ mark, device }) =>
      mark.role === 'volume' ? [{ designator: mark.node, device, verified: false }] : [],
    ),
  ]
  const unfinished = mapped.some((device) => !device.active || (device.role === 'inner' && !isInUse(device)))
  return {
    name,
    image: image && (await mapperName(image)),
    state: unfinished || volumes.length === 0 ? 'partial' : 'active',
    volumes,
    devices: [...mapped.map((device) => mapperPath(device.name)), ...loops.map((loop) => loop.device)],
  }
}
