import { access, open } from 'node:fs/promises'
import type { DmDevice } from '../../bindings/addon.js'
import { deviceNumber } from '../bytes/file.js'
import type { ExtentOf } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { type BaseNode, deviceName, type Plan, type PlannedVolume, type VerityNode } from '../image/plan.js'
import {
  type DeviceMapper,
  formatDevice,
  mapperPath,
  type NewDevice,
  openDeviceMapper,
} from '../kernel/device-mapper.js'
import { attachLoop, type Loop } from '../kernel/loop.js'
import type { LinearTarget, VerityTarget, ZeroTarget } from '../kernel/targets.js'
import { beginUdevTransaction, type UdevTransaction } from '../kernel/udev.js'
import type { OptionNames } from '../options.js'
import { throwIfAborted, type Work } from '../work.js'
import { detachNamed } from './detach.js'
import { deviceUuid, loopReference } from './names.js'

/** A planned volume with the node that offers it: a device-mapper device, or a loop device without device-mapper. */
export interface AttachedVolume extends PlannedVolume {
  /** The path to mount. */
  readonly device: string
}

/** An attached image. `detach` undoes it, as does leaving the scope of an `await using`. */
export interface Attachment extends AsyncDisposable {
  readonly name: string
  readonly image: string
  readonly volumes: readonly AttachedVolume[]
  /** @throws ERR_DDI_BUSY while something uses a device */
  detach(): Promise<void>
}

export type ActivateOptions = Pick<Work, 'signal'>
export const activateOptionNames: OptionNames<ActivateOptions> = { signal: true }

/**
 * Makes the devices of a plan. What was made is undone where a step fails; a killed process leaves what
 * `listAttachments` shows and `detach` removes, or nothing.
 * @throws ERR_DDI_NO_DEVICE_MAPPER where a plan needs one and the kernel has none; ERR_DDI_NAME_IN_USE,
 *   ERR_DDI_IMAGE_CHANGED, ERR_DDI_MISSING_TARGET, ERR_DDI_NO_LOOP, ERR_DDI_NO_FREE_LOOP, ERR_DDI_PERMISSION,
 *   ERR_DDI_KERNEL, ERR_DDI_ABORTED
 */
export async function activate(plan: Plan, options: ActivateOptions = {}): Promise<Attachment> {
  const mapper = await openDeviceMapper()
  const volumes = mapper
    ? await activateMapped(plan, mapper, options).finally(() => mapper[Symbol.asyncDispose]())
    : await activateLoops(plan, options)
  const detach = () => detachNamed(plan.name)
  return { name: plan.name, image: plan.image, volumes, detach, [Symbol.asyncDispose]: detach }
}

async function activateMapped(
  plan: Plan,
  mapper: DeviceMapper,
  { signal }: ActivateOptions,
): Promise<readonly AttachedVolume[]> {
  const loops: Loop[] = []
  const made: DmDevice[] = []
  const numbers = new Map<string, string>()
  const udev = await beginUdevTransaction()
  try {
    for (const node of plan.nodes) {
      throwIfAborted(signal)
      if (node.kind === 'base') {
        numbers.set(node.id, await activateBase(node, plan.name, loops))
        continue
      }
      const device = {
        name: deviceName(plan.name, node.id),
        uuid: deviceUuid({ kind: node.kind, role: node.role, node: node.id, attachment: plan.name }),
        readOnly: node.readOnly,
        inner: node.role === 'inner',
      }
      made.push(
        node.kind === 'linear'
          ? await mapper.create(
              { ...device, targets: node.extents.map((extent) => extentTarget(extent, numbers)) },
              udev,
            )
          : await createVerity(mapper, device, node, numbers, udev),
      )
      numbers.set(node.id, formatDevice(made.at(-1)!))
    }
  } catch (error) {
    await udev.settle()
    const undo = await beginUdevTransaction()
    for (const device of made.reverse()) await mapper.remove(device.name, undo)
    await undo.settle()
    for (const device of made) await mapper.dropNode(device)
    throw error
  } finally {
    for (const loop of loops) await loop.close()
  }
  await udev.settle()
  for (const device of made) await mapper.ensureNode(device)
  return plan.volumes.map((volume) => ({ ...volume, device: mapperPath(deviceName(plan.name, volume.node)) }))
}

/** @returns `major:minor` of the device to build on */
async function activateBase(node: BaseNode, attachment: string, loops: Loop[]): Promise<string> {
  if (node.backing === 'block-device') {
    await using handle = await openForStat(node.path)
    return deviceNumber((await handle.stat()).rdev)
  }
  const { path, readOnly, sectorSize, role } = node
  const reference = loopReference({ role, attachment })
  const loop = await attachLoop({ backing: path, readOnly, sectorSize, reference })
  loops.push(loop)
  checkSize(loop, node.size, node)
  return loop.deviceNumber
}

async function openForStat(path: string) {
  const handle = await open(path, 'r')
  return Object.assign(handle, { [Symbol.asyncDispose]: () => handle.close() })
}

/** A loop device has whole sectors of its backing file. */
function checkSize(loop: Loop, expected: number, { path }: BaseNode): void {
  const whole = expected - (expected % 512)
  if (loop.size !== whole)
    throw new DdiError(
      'ERR_DDI_IMAGE_CHANGED',
      `${path} had ${whole} bytes to attach when it was read, and has ${loop.size} now: something writes to it`,
    )
}

/** @param numbers `major:minor` of the devices of nodes */
function extentTarget(extent: ExtentOf<string>, numbers: ReadonlyMap<string, string>): LinearTarget | ZeroTarget {
  const { length } = extent
  return extent.kind === 'zero'
    ? { kind: 'zero', length }
    : { kind: 'linear', length, device: numbers.get(extent.base)!, start: extent.start }
}

/** With a root hash signature for the kernel where it has use for one. */
async function createVerity(
  mapper: DeviceMapper,
  device: Omit<NewDevice, 'targets' | 'key'>,
  node: VerityNode,
  numbers: ReadonlyMap<string, string>,
  udev: UdevTransaction,
): Promise<DmDevice> {
  const plain = () => mapper.create({ ...device, targets: [verityTarget(node, numbers)] }, udev)
  if (node.signature === null || !(node.signatureRequired || (await kernelVerifiesSignatures()))) return await plain()
  const key = { description: `ddi:${device.name}`, bytes: Buffer.from(node.signature, 'hex') }
  try {
    const target: VerityTarget = { ...verityTarget(node, numbers), signatureKey: key.description }
    return await mapper.create({ ...device, targets: [target], key }, udev)
  } catch (error) {
    const refused = error instanceof DdiError && error.code === 'ERR_DDI_SIGNATURE_KERNEL'
    // It may not know the certificate, which we do; where it insists on one, the device fails again.
    if (node.signatureRequired || !refused) throw error
    return await plain()
  }
}

/** CONFIG_DM_VERITY_VERIFY_ROOTHASH_SIG: the parameter is there with it. */
async function kernelVerifiesSignatures(): Promise<boolean> {
  return await access('/sys/module/dm_verity/parameters/require_signatures').then(
    () => true,
    () => false,
  )
}

function verityTarget(node: VerityNode, numbers: ReadonlyMap<string, string>): VerityTarget {
  const { size, dataBlockSize, hashBlockSize, dataBlocks, hashStartBlock, algorithm, rootHash, salt } = node
  return {
    kind: 'verity',
    length: size,
    version: 1,
    dataDevice: numbers.get(node.data)!,
    hashDevice: numbers.get(node.hash)!,
    ...{ dataBlockSize, hashBlockSize, dataBlocks, hashStartBlock, algorithm, rootHash, salt },
  }
}

/** Without device-mapper: a loop device for each volume that is one extent of a base. */
async function activateLoops(plan: Plan, { signal }: ActivateOptions): Promise<readonly AttachedVolume[]> {
  const nodes = new Map(plan.nodes.map((node) => [node.id, node]))
  const parts = plan.volumes.map((volume) => {
    const node = nodes.get(volume.node)
    const [extent, second] = node?.kind === 'linear' ? node.extents : []
    if (extent?.kind !== 'linear' || second)
      throw new DdiError(
        'ERR_DDI_NO_DEVICE_MAPPER',
        `this kernel has no device-mapper, which ${volume.node} of ${plan.image} needs ` +
          `(${node?.kind === 'verity' ? 'dm-verity: a root hash covers it' : 'dm-linear: it is not one run of the disk'}): modprobe dm-mod`,
      )
    return { volume, base: nodes.get(extent.base) as BaseNode, extent }
  })
  const loops: Loop[] = []
  try {
    const volumes: AttachedVolume[] = []
    for (const { volume, base, extent } of parts) {
      throwIfAborted(signal)
      const loop = await attachLoop({
        backing: base.path,
        readOnly: volume.readOnly,
        offset: extent.start,
        size: extent.length,
        sectorSize: base.sectorSize,
        reference: loopReference({ role: 'volume', attachment: plan.name, node: volume.node }),
      })
      loops.push(loop)
      checkSize(loop, extent.length, base)
      volumes.push({ ...volume, device: loop.device })
    }
    // Only now do they outlive us: killed before, they clear themselves.
    for (const loop of loops) await loop.keep()
    return volumes
  } finally {
    for (const loop of loops) await loop.close()
  }
}
