import { readFile } from 'node:fs/promises'
import type { DmDevice } from '../../bindings/addon.js'
import { type DeviceMapper, formatDevice, mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'
import { type ListedLoop, listLoops } from '../kernel/loop.js'
import { type DeviceMark, parseDeviceUuid, parseLoopReference, uuidPrefix } from './names.js'

export interface ListedVolume {
  readonly designator: string
  /** The node to mount. */
  readonly device: string
  readonly verified: boolean
}

/** What the kernel holds of one attachment. */
export interface ListedAttachment {
  readonly name: string
  /** Path of the image or block device; null where the kernel does not say. */
  readonly image: string | null
  /** `partial`: left by an attach that was killed; `detach` removes it. */
  readonly state: 'active' | 'partial'
  readonly volumes: readonly ListedVolume[]
  /** Every device of it, those on top first. */
  readonly devices: readonly string[]
}

/** The kernel objects of one attachment. */
export interface FoundAttachment {
  readonly name: string
  readonly mapped: readonly (DmDevice & DeviceMark)[]
  readonly loops: readonly ListedLoop[]
  readonly image: string | null
}

/**
 * Lists what is attached, by whichever process. All of it is read from the kernel: there is no state file to be stale.
 * @throws ERR_DDI_PERMISSION
 */
export async function list(): Promise<readonly ListedAttachment[]> {
  return (await findAttachments()).map(describe)
}

/** Finds our device-mapper devices and loop devices by their marks, and puts together what belongs together. */
export async function findAttachments(): Promise<readonly FoundAttachment[]> {
  const mapper = await openDeviceMapper()
  try {
    const mapped = mapper ? await ourDevices(mapper) : []
    const loops = await listLoops()
    const named = new Map<string, { mapped: (DmDevice & DeviceMark)[]; loops: Set<ListedLoop>; image: string | null }>()
    const entry = (name: string) => {
      const known = named.get(name) ?? { mapped: [], loops: new Set(), image: null }
      named.set(name, known)
      return known
    }
    for (const device of mapped) {
      const found = entry(device.attachment)
      found.mapped.push(device)
      if (device.kind !== 'linear' || !mapper) continue
      for (const under of await mapper.dependencies(device.name)) {
        const number = formatDevice(under)
        const loop = loops.find(({ deviceNumber }) => deviceNumber === number)
        // A loop device that ddi did not create is an image itself, like any other block device.
        if (loop && parseLoopReference(loop.reference)) found.loops.add(loop)
        else found.image ??= await devicePath(number)
      }
    }
    for (const loop of loops) {
      const mark = parseLoopReference(loop.reference)
      if (mark) entry(mark.attachment).loops.add(loop)
    }
    return [...named]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { mapped, loops, image }]) => ({
        name,
        mapped: mapped.sort((a, b) => kindOrder[a.kind] - kindOrder[b.kind]),
        loops: [...loops],
        image: [...loops].find((loop) => !loop.backing.endsWith('.verity'))?.backing ?? image,
      }))
  } finally {
    await mapper?.[Symbol.asyncDispose]()
  }
}

// Verity stands on linear, and LUKS on either: what is on top comes first.
const kindOrder = { crypt: 0, verity: 1, linear: 2 } as const

async function ourDevices(mapper: DeviceMapper): Promise<(DmDevice & DeviceMark)[]> {
  const ours = (await mapper.list(uuidPrefix)).flatMap((device) => {
    const mark = parseDeviceUuid(device.uuid)
    return mark ? [{ ...device, ...mark }] : []
  })
  const opened = await Promise.all(
    (await mapper.list('CRYPT-LUKS')).map(async (device) => {
      const under = (await mapper.dependencies(device.name)).map(formatDevice)
      const base = ours.find((one) => under.includes(formatDevice(one)))
      return base ? [{ ...device, kind: 'crypt' as const, node: `${base.node}-luks`, attachment: base.attachment }] : []
    }),
  )
  return [...ours, ...opened.flat()]
}

async function devicePath(number: string): Promise<string | null> {
  const event = await readFile(`/sys/dev/block/${number}/uevent`, 'utf8').catch(() => '')
  const name = /^DEVNAME=(.+)$/m.exec(event)?.[1]
  return name ? `/dev/${name}` : null
}

/** `root-data` and `root-verity` only stand under `root`. */
function volumeOfInner(device: DeviceMark): string | undefined {
  return /^(root|usr)-(?:data|verity)$/.exec(device.node)?.[1]
}

function describe({ name, mapped, loops, image }: FoundAttachment): ListedAttachment {
  const opened = new Set(mapped.flatMap(({ kind, node }) => (kind === 'crypt' ? [node.replace(/-luks$/, '')] : [])))
  const tops = mapped.filter((device) => !volumeOfInner(device) && !opened.has(device.node))
  const missing = mapped.some((device) => {
    const volume = volumeOfInner(device)
    return !device.active || (volume !== undefined && !tops.some((top) => top.node === volume))
  })
  const volumeLoops = loops.flatMap((loop) => {
    const node = parseLoopReference(loop.reference)?.node
    return node ? [{ designator: node, device: loop.device, verified: false }] : []
  })
  return {
    name,
    image,
    state: missing || (mapped.length === 0 && volumeLoops.length === 0) ? 'partial' : 'active',
    volumes: [
      ...tops.map((device) => ({
        designator: device.kind === 'crypt' ? device.node.replace(/-luks$/, '') : device.node,
        device: mapperPath(device.name),
        verified: device.kind === 'verity',
      })),
      ...volumeLoops,
    ],
    devices: [...mapped.map((device) => mapperPath(device.name)), ...loops.map((loop) => loop.device)],
  }
}
