import { openFile } from '../bytes/file.js'
import { type PlanOptions, plan, planOptionNames } from '../image/plan.js'
import { dissectVerityDevices } from '../image/verity-devices.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { openParityFile, type ParityPlace } from '../verity/parity-file.js'
import { openTreeFile, type TreeFileOptions, treeFileOptionNames } from '../verity/tree-file.js'
import { treeOptionsFor } from '../verity/verify-file.js'
import { type ActivateOptions, type Attachment, activate, activateOptionNames } from './activate.js'

/** Options of {@link attachVerity}. */
export interface AttachVerityOptions
  extends TreeFileOptions,
    Omit<PlanOptions, 'writable' | 'volumes'>,
    ActivateOptions {
  /** Of the root hash, for the kernel to verify as the device is made: PKCS#7, DER. Default: the root hash is trusted as it is. */
  readonly signature?: Uint8Array
  /** Parity by which the kernel corrects blocks. Default: none. */
  readonly parity?: ParityPlace
}
const { writable: _, volumes: __, ...planNames } = planOptionNames
const attachVerityOptionNames: OptionNames<AttachVerityOptions> = {
  ...treeFileOptionNames,
  ...planNames,
  ...activateOptionNames,
  signature: true,
  parity: true,
}

/**
 * Makes a device that checks all that is read of a file or block device against a hash tree, as `veritysetup open` does; no table is looked for.
 * @param hashPath file with the tree, which may be the data file
 * @throws what `openTreeFile`, `dissectVerityDevices`, `plan` and {@link activate} throw; no device is left then
 */
export async function attachVerity(
  dataPath: string,
  hashPath: string,
  rootHash: Uint8Array,
  options: AttachVerityOptions = {},
): Promise<Attachment> {
  checkOptions(options, attachVerityOptionNames, 'attachVerity')
  const { signature, parity: place } = options
  await using data = await openFile(dataPath)
  await using tree = await openTreeFile(hashPath, treeOptionsFor(data, options))
  await using parity = place && (await openParityFile(place, data, tree))
  const hash = { kind: 'file', path: hashPath, source: tree.source } as const
  const dissection = await dissectVerityDevices(data, hash, tree.superblock, rootHash, {
    ...(signature && { signature }),
    ...(parity && { parity: parity.inBlocks }),
  })
  return await activate(plan(dissection, pickOptions(options, planNames)), pickOptions(options, activateOptionNames))
}
