import { access } from 'node:fs/promises'
import type { DmDevice } from '../../bindings/addon.js'
import { deviceNumber } from '../bytes/file.js'
import type { ExtentOf } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { type BaseNode, deviceName, type LinearNode, type Plan, type VerityNode } from '../image/plan.js'
import { type DeviceMapper, formatDevice, type NewDevice } from '../kernel/device-mapper.js'
import { attachLoop, type Loop, openBacking } from '../kernel/loop.js'
import type { LinearTarget, VerityTarget, ZeroTarget } from '../kernel/targets.js'
import { beginUdevTransaction, type UdevTransaction } from '../kernel/udev.js'
import { throwIfAborted } from '../work.js'
import { checkSize } from './loop-devices.js'
import { deviceUuid, loopReference } from './names.js'
import { refuseShared } from './shared.js'

/** `major:minor` of the devices of nodes, by their ids. */
type Numbers = ReadonlyMap<string, string>

/** What keeps a base as it is until the devices over it do. */
type Held = Pick<Loop, 'close'>[]

/** Makes every node of a plan a device, over loop devices for files. @throws as `activate` */
export async function activateMapped(plan: Plan, mapper: DeviceMapper, signal: AbortSignal | undefined): Promise<void> {
  const held: Held = []
  const made: DmDevice[] = []
  const udev = await beginUdevTransaction()
  try {
    const numbers = new Map<string, string>()
    for (const node of plan.nodes) {
      throwIfAborted(signal)
      if (node.kind === 'base') numbers.set(node.id, await activateBase(node, plan.name, held))
      else {
        const device = await activateNode(node, plan.name, { mapper, udev, numbers })
        made.push(device)
        numbers.set(node.id, formatDevice(device))
      }
    }
    await refuseShared(plan.name)
  } catch (error) {
    await udev.settle()
    await undo(made, mapper)
    throw error
  } finally {
    for (const base of held) await base.close()
  }
  await udev.settle()
  for (const device of made) await mapper.ensureNode(device)
}

async function undo(made: readonly DmDevice[], mapper: DeviceMapper): Promise<void> {
  const udev = await beginUdevTransaction()
  for (const { name } of [...made].reverse()) await mapper.remove(name, udev)
  await udev.settle()
  for (const device of made) await mapper.dropNode(device)
}

/** @returns `major:minor` of the device to build on */
async function activateBase(node: BaseNode, attachment: string, held: Held): Promise<string> {
  const { backing, shared, path, identity, readOnly, sectorSize, role } = node
  if (backing === 'block-device' && !shared) {
    // As long as it is open, no other disk gets its number.
    const device = await openBacking({ backing: path, readOnly: true, identity })
    held.push(device)
    return deviceNumber((await device.stat()).rdev)
  }
  const reference = loopReference({ role, attachment })
  const loop = await attachLoop({ backing: path, identity, readOnly, sectorSize, reference })
  held.push(loop)
  checkSize(loop, node.size, path)
  return loop.deviceNumber
}

interface Context {
  readonly mapper: DeviceMapper
  readonly udev: UdevTransaction
  readonly numbers: Numbers
}

async function activateNode(node: LinearNode | VerityNode, attachment: string, context: Context): Promise<DmDevice> {
  const { kind, role, id, readOnly } = node
  const device = {
    name: deviceName(attachment, id),
    uuid: deviceUuid({ kind, role, node: id, attachment }),
    readOnly,
    inner: role === 'inner',
  }
  if (node.kind === 'verity') return await createVerity(node, device, context)
  const targets = node.extents.map((extent) => extentTarget(extent, context.numbers))
  return await context.mapper.create({ ...device, targets }, context.udev)
}

function extentTarget(extent: ExtentOf<string>, numbers: Numbers): LinearTarget | ZeroTarget {
  const { length } = extent
  return extent.kind === 'zero'
    ? { kind: 'zero', length }
    : { kind: 'linear', length, device: numbers.get(extent.base)!, start: extent.start }
}

/** With the signature of the root hash, if the kernel verifies signatures. */
async function createVerity(
  node: VerityNode,
  device: Omit<NewDevice, 'targets' | 'key'>,
  { mapper, udev, numbers }: Context,
): Promise<DmDevice> {
  const { signature, signatureRequired } = node
  const target = verityTarget(node, numbers)
  const plain = () => mapper.create({ ...device, targets: [target] }, udev)
  if (signature === null || !(signatureRequired || (await kernelVerifiesSignatures()))) return await plain()
  const key = { description: `ddi:${device.name}`, bytes: Buffer.from(signature, 'hex') }
  try {
    return await mapper.create({ ...device, targets: [{ ...target, signatureKey: key.description }], key }, udev)
  } catch (error) {
    const refused = error instanceof DdiError && error.code === 'ERR_DDI_SIGNATURE_KERNEL'
    if (signatureRequired || !refused) throw error
    // The kernel may lack a certificate that ddi trusts. If it insists on signatures, this fails too.
    return await plain()
  }
}

/** The parameter exists if the kernel is built with CONFIG_DM_VERITY_VERIFY_ROOTHASH_SIG. */
async function kernelVerifiesSignatures(): Promise<boolean> {
  return await access('/sys/module/dm_verity/parameters/require_signatures').then(
    () => true,
    () => false,
  )
}

function verityTarget(node: VerityNode, numbers: Numbers): VerityTarget {
  const { size, dataBlockSize, hashBlockSize, dataBlocks, hashStartBlock, algorithm, rootHash, salt } = node
  const { onCorruption, ignoreZeroBlocks, checkAtMostOnce, errorCorrection } = node
  return {
    kind: 'verity',
    length: size,
    version: 1,
    dataDevice: numbers.get(node.data)!,
    hashDevice: numbers.get(node.hash)!,
    ...{ dataBlockSize, hashBlockSize, dataBlocks, hashStartBlock, algorithm, rootHash, salt },
    ...(onCorruption && { onCorruption }),
    ...(ignoreZeroBlocks && { ignoreZeroBlocks }),
    ...(checkAtMostOnce && { checkAtMostOnce }),
    ...(errorCorrection && {
      errorCorrection: { ...errorCorrection, device: numbers.get(errorCorrection.device)! },
    }),
  }
}
