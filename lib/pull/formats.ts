import { DdiError } from '../errors.js'
import { type Batch, lengthOf, peek } from './batches.js'

export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz' | 'lzma' | 'zstd' | 'lz4'

/** How many bytes at the beginning of a file say what it is. */
export const headLength = 68

interface Magic<Name> {
  readonly name: Name
  readonly bytes: Buffer
  /** Default: 0. */
  readonly at?: number
}

const hex = <Name>(name: Name, bytes: string, at = 0): Magic<Name> => ({ name, bytes: Buffer.from(bytes, 'hex'), at })
const text = <Name>(name: Name, bytes: string): Magic<Name> => ({ name, bytes: Buffer.from(bytes, 'latin1') })

const compressions: readonly Magic<Compression>[] = [
  hex('xz', 'fd377a585a00'),
  hex('gzip', '1f8b'),
  text('bzip2', 'BZh'),
  hex('zstd', '28b52ffd'),
  hex('lz4', '04224d18'),
]

const packings: readonly Magic<string>[] = [
  hex('lz4 in its legacy format', '02214c18'),
  text('lzip', 'LZIP'),
  text('zip', 'PK\x03\x04'),
  text('zip', 'PK\x05\x06'),
  text('zip', 'PK\x07\x08'),
  text('7z', '7z\xbc\xaf\x27\x1c'),
  text('rar', 'Rar!\x1a\x07'),
  text('lzop', '\x89LZO\0'),
  text('lrzip', 'LRZI'),
  hex('compress', '1f9d'),
]

const diskImages: readonly Magic<string>[] = [
  text('qcow2', 'QFI\xfb'),
  text('VMDK', 'KDMV'),
  text('VMDK', 'COWD'),
  text('VMDK', '# Disk DescriptorFile'),
  text('VHD', 'conectix'),
  text('VHDX', 'vhdxfile'),
  hex('VDI', '7f10dabe', 64),
  text('QED', 'QED\0'),
  text('Parallels', 'WithoutFreeSpace'),
  text('Parallels', 'WithouFreSpacExt'),
]

/** In the last 512 bytes: a VHD of fixed size has nothing at its beginning. */
const footers: readonly Magic<string>[] = [text('VHD', 'conectix'), text('DMG', 'koly')]
const footerLength = 512

function nameIn<Name>(magics: readonly Magic<Name>[], bytes: Uint8Array): Name | undefined {
  return magics.find(({ bytes: magic, at = 0 }) => magic.equals(bytes.subarray(at, at + magic.length)))?.name
}

/** How bytes are compressed, by how they begin: file names may be wrong. */
export function detectCompression(head: Uint8Array): Compression {
  return nameIn(compressions, head) ?? (isSkippable(head) ? 'zstd' : isLzma(head) ? 'lzma' : 'none')
}

/** Whether a zstd frame comes first that says nothing of the content, as pzstd writes them: RFC 8878, 3.1.2. */
function isSkippable(head: Uint8Array): boolean {
  return head.length >= 4 && head[0]! >> 4 === 5 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18
}

/** Whether bytes begin as a .lzma file, which has no magic: what liblzma's lzma_alone_decoder() takes. */
function isLzma(head: Uint8Array): boolean {
  if (head.length < 13 || head[0]! > (4 * 5 + 4) * 9 + 8) return false
  const view = new DataView(head.buffer, head.byteOffset)
  const [dictionary, size] = [view.getUint32(1, true), view.getBigUint64(5, true)]
  const power = 2 ** Math.floor(Math.log2(dictionary))
  const isUsual = dictionary === power || dictionary === power * 1.5 || dictionary === 2 ** 32 - 1
  return dictionary >= 4096 && isUsual && (size === 2n ** 64n - 1n || size < 2n ** 38n)
}

/**
 * Refuses what is neither an image nor packed by something that we unpack.
 * @param head the first {@link headLength} bytes, or all
 * @throws ERR_DDI_PULL_FORMAT
 */
export function refuseForeign(url: URL | string, head: Uint8Array): void {
  const packing = nameIn(packings, head)
  if (packing !== undefined)
    throw foreign(`${url} is packed by ${packing}, which is not supported: pack it by xz, gzip, bzip2, zstd or lz4`)
  const disk = nameIn(diskImages, head)
  if (disk !== undefined) throw diskImage(url, disk)
}

function foreign(what: string): DdiError {
  return new DdiError('ERR_DDI_PULL_FORMAT', what)
}

function diskImage(url: URL | string, format: string): DdiError {
  return foreign(`${url} is a disk image in ${format} format, not a raw one: convert it first`)
}

/**
 * The bytes of an image, unpacked.
 * @throws ERR_DDI_PULL_FORMAT, ERR_DDI_IMAGE_EMPTY if they cannot be those of an image
 */
export async function* requireImage(url: URL | string, batches: AsyncGenerator<Batch>): AsyncGenerator<Batch> {
  const { head, all } = await peek(batches, headLength)
  refuseForeign(url, head)
  const again = detectCompression(head)
  if (again !== 'none') throw foreign(`${url} is packed twice, within by ${again}: unpack it once`)
  let tail: Buffer = Buffer.alloc(0)
  let isEmpty = true
  for await (const batch of all) {
    const length = lengthOf(batch)
    isEmpty &&= length === 0
    // A copy: the memory of a batch is used again.
    tail = lastBytes(length < footerLength ? [tail, ...batch] : batch, footerLength)
    yield batch
  }
  if (isEmpty) throw new DdiError('ERR_DDI_IMAGE_EMPTY', `${url} is empty`)
  const disk = tail.length === footerLength ? nameIn(footers, tail) : undefined
  if (disk !== undefined) throw diskImage(url, disk)
}

function lastBytes(batch: Batch, length: number): Buffer {
  const parts: Uint8Array[] = []
  for (let at = batch.length - 1, missing = length; at >= 0 && missing > 0; at--) {
    const part = batch[at]!.subarray(-missing)
    parts.unshift(part)
    missing -= part.length
  }
  return Buffer.concat(parts)
}
