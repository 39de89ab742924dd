import type { FileSource } from '../bytes/file.js'
import { wholeImageVolume } from '../disk/volume.js'
import { checkOptions, type OptionNames } from '../options.js'
import type { Superblock } from '../verity/superblock.js'
import { checkRootHash, checkTreeFits } from '../verity/tree.js'
import type { Dissection, HashTree, Parity, Verity } from './dissection.js'
import type { Image } from './open.js'

/** Options of {@link dissectVerityDevices}. */
export interface VerityDevicesOptions {
  /** Of the root hash, for the kernel to verify as the device is made: PKCS#7, DER. Default: the root hash is trusted as it is. */
  readonly signature?: Uint8Array
  readonly parity?: Parity
}
const verityDevicesOptionNames: OptionNames<VerityDevicesOptions> = { signature: true, parity: true }

/**
 * A file or block device under a root hash of the caller's, with its hash tree wherever that lies; no table is looked for. What `plan` makes of
 * it is what `veritysetup open` makes.
 * @param tree the hash volume, superblock included, also where that is not stored (see `bareTreeSource`)
 * @throws ERR_DDI_VERITY_SUPERBLOCK if the tree does not fit, ERR_DDI_ROOT_HASH_FORMAT, ERR_DDI_ROOT_HASH_WRONG
 */
export async function dissectVerityDevices(
  data: FileSource,
  tree: HashTree,
  superblock: Superblock,
  rootHash: Uint8Array,
  options: VerityDevicesOptions = {},
): Promise<Dissection> {
  checkOptions(options, verityDevicesOptionNames, 'dissectVerityDevices')
  const { signature, parity } = options
  checkTreeFits(superblock, data.size, tree.source.size)
  await checkRootHash(superblock, data, tree.source, rootHash)
  const close = async () => {}
  const volume = wholeImageVolume(data.size)
  const image: Image = {
    name: data.path,
    path: data.path,
    size: data.size,
    sectorSize: 512,
    table: { type: 'none', uuid: null, source: null, problems: [] },
    volumes: [volume],
    orphans: [],
    free: [],
    source: data,
    isSparse: false,
    keepOpen: () => {},
    close,
    [Symbol.asyncDispose]: close,
  }
  const coverage = {
    data: volume,
    hash: tree,
    rootHash,
    rootHashSource: 'option',
    superblock,
    ...(parity && { parity }),
  } as const
  const verity: Verity = signature
    ? { ...coverage, trusted: false, forKernel: true, signature: { bytes: signature, signer: null } }
    : { ...coverage, trusted: true, signature: null }
  return {
    image,
    volumes: [volume],
    roles: new Map([['root', volume]]),
    verity: new Map([['root', verity]]),
    exceptions: new Map(),
    architectures: [],
    unused: [],
    signature: signature ? 'kernel' : 'auto',
    given: { rootHashes: new Map([['root', 'option']]), signatures: signature !== undefined },
    problems: [],
  }
}
