// Real images, by the tools that people make them with.
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { run } from './run.js'

export const MiB = 1024 * 1024

export const typeUuids = {
  root: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
  rootVerity: '2c7357ed-ebd2-46d9-aec1-23d437ec2bf5',
  usr: '8484680c-9521-48c6-9c11-b0720656f69e',
  usrVerity: '77ff5f63-e7b6-4633-acf4-1565b864c0e6',
  usrVeritySig: 'e7bb33fb-06cf-4e81-8273-e543b413e2e2',
  rootArm64: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
  rootVeritySig: '41092b05-9fc8-4523-994f-2def0408b176',
  esp: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  home: '933ac7e1-2eb4-4f13-b844-0e14e2aef915',
  linuxGeneric: '0fc63daf-8483-4772-8e79-3d69d8477de4',
} as const

/** Overwrites bytes of a file in place. */
export function writeAt(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+')
  try {
    writeSync(fd, bytes, 0, bytes.length, offset)
  } finally {
    closeSync(fd)
  }
}

/** Turns over one bit. */
export function flipBit(path: string, offset: number): void {
  writeAt(path, offset, Uint8Array.of(readFileSync(path)[offset]! ^ 1))
}

/** A sparse file of zeroes. */
export function emptyFile(path: string, size: number): string {
  writeFileSync(path, '')
  truncateSync(path, size)
  return path
}

/** A folder with files whose contents are known. */
export function makeTree(folder: string): string {
  const tree = join(folder, 'tree')
  mkdirSync(join(tree, 'etc'), { recursive: true })
  writeFileSync(join(tree, 'etc/os-release'), 'ID=ddi-test\n')
  writeFileSync(join(tree, 'large'), Buffer.alloc(MiB, 'ddi '))
  return tree
}

export type FileSystemKind = 'erofs' | 'squashfs' | 'ext4'

/** A file system made of `makeTree`, a whole number of 4096-byte blocks. */
export function makeFileSystem(folder: string, kind: FileSystemKind): string {
  const path = join(folder, `data.${kind}`)
  const tree = makeTree(folder)
  if (kind === 'erofs') run('mkfs.erofs', path, tree)
  else if (kind === 'squashfs') run('mksquashfs', tree, path, '-noappend', '-quiet')
  else run('mkfs.ext4', '-q', '-b', '4096', '-d', tree, emptyFile(path, 8 * MiB))
  truncateSync(path, Math.ceil(statSync(path).size / 4096) * 4096)
  return path
}

export interface Formatted {
  readonly rootHash: string
  readonly hashPath: string
}

/** A hash tree by veritysetup. */
export function formatVerity(dataPath: string, hashPath: string, ...options: string[]): Formatted {
  emptyFile(hashPath, 0)
  const report = run('veritysetup', 'format', ...options, dataPath, hashPath)
  return { rootHash: /^Root hash:\s*([0-9a-f]+)$/m.exec(report)![1]!, hashPath }
}

/** The partition UUIDs that the DPS derives from a root hash. */
export function uuidsOf(rootHash: string): { data: string; hash: string } {
  const dashed = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return { data: dashed(rootHash.slice(0, 32)), hash: dashed(rootHash.slice(-32)) }
}

export interface PartitionSpec {
  readonly type: string
  readonly size: number
  readonly uuid?: string
  readonly label?: string
  readonly attributes?: readonly number[]
  readonly from?: string
}

/** An image by sgdisk: partitions one after the other from 1 MiB. @returns where each starts, in bytes */
export function makeGptImage(path: string, size: number, partitions: readonly PartitionSpec[]): number[] {
  emptyFile(path, size)
  const starts: number[] = []
  const args: string[] = ['--clear', '--set-alignment=8']
  let start = MiB
  partitions.forEach(({ type, size, uuid, label, attributes = [] }, index) => {
    const number = index + 1
    starts.push(start)
    args.push(`--new=${number}:${start / 512}:${(start + size) / 512 - 1}`, `--typecode=${number}:${type}`)
    if (uuid) args.push(`--partition-guid=${number}:${uuid}`)
    if (label !== undefined) args.push(`--change-name=${number}:${label}`)
    for (const bit of attributes) args.push(`--attributes=${number}:set:${bit}`)
    start = Math.ceil((start + size) / MiB) * MiB
  })
  run('sgdisk', ...args, path)
  partitions.forEach(({ from }, index) => {
    if (from) writeAt(path, starts[index]!, readFileSync(from))
  })
  return starts
}

export interface VerityImage {
  readonly path: string
  readonly rootHash: string
  readonly dataStart: number
  readonly hashStart: number
  /** Size of the file system and of the tree, in bytes. */
  readonly dataSize: number
  readonly hashSize: number
}

/** An image with a root file system and its hash tree, as systemd-repart lays them out. */
export function makeVerityImage(folder: string, kind: FileSystemKind = 'erofs', name = 'image.raw'): VerityImage {
  const data = makeFileSystem(folder, kind)
  const { rootHash, hashPath } = formatVerity(data, join(folder, 'hash'))
  const uuids = uuidsOf(rootHash)
  const path = join(folder, name)
  const dataSize = statSync(data).size
  const [dataStart, hashStart] = makeGptImage(path, 32 * MiB, [
    { type: typeUuids.root, size: dataSize, uuid: uuids.data, label: 'os_1', from: data },
    { type: typeUuids.rootVerity, size: MiB, uuid: uuids.hash, label: 'os_1_verity', from: hashPath },
  ])
  return { path, rootHash, dataStart: dataStart!, hashStart: hashStart!, dataSize, hashSize: statSync(hashPath).size }
}

/** An image as `makeVerityImage` makes it, with a signature partition that holds `record`. */
export function makeSignedImage(
  folder: string,
  record: (rootHash: string) => Uint8Array,
  name = 'signed.raw',
): VerityImage {
  const data = makeFileSystem(folder, 'erofs')
  const { rootHash, hashPath } = formatVerity(data, join(folder, 'hash'))
  const uuids = uuidsOf(rootHash)
  const path = join(folder, name)
  const signature = join(folder, 'record')
  writeFileSync(signature, record(rootHash))
  const dataSize = statSync(data).size
  const [dataStart, hashStart] = makeGptImage(path, 32 * MiB, [
    { type: typeUuids.root, size: dataSize, uuid: uuids.data, label: 'os_1', from: data },
    { type: typeUuids.rootVerity, size: MiB, uuid: uuids.hash, label: 'os_1', from: hashPath },
    { type: typeUuids.rootVeritySig, size: 16384, label: 'os_1', from: signature },
  ])
  return { path, rootHash, dataStart: dataStart!, hashStart: hashStart!, dataSize, hashSize: statSync(hashPath).size }
}

/** An image by systemd-repart: squashfs root with verity, and an ext4 home. @returns the root hash */
export function makeRepartImage(folder: string, path: string): string {
  const definitions = join(folder, 'repart.d')
  mkdirSync(definitions)
  const tree = makeTree(folder)
  const define = (name: string, ...lines: string[]) =>
    writeFileSync(join(definitions, `${name}.conf`), ['[Partition]', ...lines, ''].join('\n'))
  const root = [
    'Type=root',
    'Format=squashfs',
    `CopyFiles=${tree}:/`,
    'Verity=data',
    'VerityMatchKey=root',
    'SizeMaxBytes=8M',
  ]
  define('10-root', ...root)
  define('20-verity', 'Type=root-verity', 'Verity=hash', 'VerityMatchKey=root', 'SizeMaxBytes=8M')
  define('30-home', 'Type=home', 'Format=ext4', 'SizeMinBytes=16M', 'SizeMaxBytes=16M', 'GrowFileSystem=yes')
  const report = run(
    'systemd-repart',
    '--empty=create',
    '--size=48M',
    `--definitions=${definitions}`,
    '--dry-run=no',
    '--json=short',
    '--no-pager',
    path,
  )
  const partitions = JSON.parse(report) as { roothash: string | null }[]
  return partitions.find(({ roothash }) => roothash)!.roothash!
}

/** Writes definitions of partitions into a folder of their own. @returns its path */
export function defineImage(folder: string, definitions: Readonly<Record<string, readonly string[]>>): string {
  const path = join(folder, `repart-${randomUUID()}`)
  mkdirSync(path)
  for (const [name, lines] of Object.entries(definitions))
    writeFileSync(join(path, `${name}.conf`), ['[Partition]', ...lines, ''].join('\n'))
  return path
}

/** A copy to damage. */
export function copyOf(path: string, name: string): string {
  copyFileSync(path, name)
  return name
}
