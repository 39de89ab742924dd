// Disks whose partitions have numbers, places and sector sizes of their own.
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { emptyFile, MiB, typeUuids } from './images.js'
import { run } from './run.js'

/** Those of the Discoverable Partitions Specification, and some of other projects. */
export const partitionTypes = {
  ...typeUuids,
  bios: '21686148-6449-6e6f-744e-656564454649',
  xbootldr: 'bc13c2ff-59e6-4262-a352-b275fd6f7172',
  swap: '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f',
  var: '4d21b016-b534-45c2-a9fb-5c16e091fd2d',
  basicData: 'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7',
  flatcarUsr: '5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6',
  flatcarReserved: 'c95dc21a-df0e-4340-8d7b-26cbfa9a03e0',
  flatcarResize: '3884dd41-8582-4404-b9a8-e9b84f2df50e',
  chromeOsKernel: 'fe3a2a5d-4f32-41a7-b725-accc3285a309',
  chromeOsRoot: '3cb8e202-3b7e-47dd-8a3c-7ff2a13cfcec',
  chromeOsReserved: '2e0a753d-9e48-43b0-8337-b15192cb1b5e',
  chromeOsFirmware: 'cab6e88e-abf3-4102-a07a-d4bb9be3c1d3',
  bottlerocketBoot: '6b636168-7420-6568-2070-6c616e657421',
  bottlerocketRoot: '5526016a-1a97-4ea4-b39a-b7c8c6ca4502',
  bottlerocketHash: '598f10af-c955-4456-6a99-7720068a6cea',
  bottlerocketReserved: '0c5d99a5-d331-4147-baef-08e2b855bdc9',
  bottlerocketPrivate: '440408bb-eb0b-4328-a6e5-a29038fad706',
  bottlerocketData: '626f7474-6c65-6474-6861-726d61726b73',
  bottlerocketEfiBackup: 'b39ce39c-0a00-b4ab-2d11-f18f8237a21c',
} as const

export interface LayoutPartition {
  readonly number: number
  readonly type: string
  /** In MiB. */
  readonly start: number
  readonly size: number
  readonly label?: string
  readonly uuid?: string
  readonly attributes?: readonly number[]
  /** A file with what lies in it. */
  readonly from?: string
}

export interface Layout {
  readonly name: string
  /** Where the real one is described, `OWNER/NAME@COMMIT: FILES` of a repository, and what could not be found. */
  readonly source: string
  /** In bytes. Default: 512. */
  readonly sectorSize?: number
  /** Partitions that the MBR names too, for machines that read no GPT. */
  readonly hybrid?: number
  /** Of its /usr, where only the kernel command line says it. */
  readonly usrHash?: string
  readonly partitions: readonly LayoutPartition[]
}

/** Makes the disk of a layout, with the root hash of its /usr beside it. @returns its path */
export function makeLayout(folder: string, { name, sectorSize = 512, hybrid, usrHash, partitions }: Layout): string {
  const path = emptyFile(join(folder, `${name}.raw`), (Math.max(...partitions.map(endOf)) + 1) * MiB)
  const perMiB = MiB / sectorSize
  const args = partitions.flatMap(({ number, type, start, size, label, uuid, attributes = [] }) => [
    `--new=${number}:${start * perMiB}:${(start + size) * perMiB - 1}`,
    `--typecode=${number}:${type}`,
    ...(label === undefined ? [] : [`--change-name=${number}:${label}`]),
    ...(uuid === undefined ? [] : [`--partition-guid=${number}:${uuid}`]),
    ...attributes.map((bit) => `--attributes=${number}:set:${bit}`),
  ])
  if (hybrid !== undefined) args.push(`--hybrid=${hybrid}`)
  // sgdisk counts a file in sectors of 512 bytes.
  const disk =
    sectorSize === 512 ? path : run('losetup', '--find', '--show', `--sector-size=${sectorSize}`, path).trim()
  run('sgdisk', '--clear', '--set-alignment=1', ...args, disk)
  if (disk !== path) run('losetup', '--detach', disk)
  for (const { from, start } of partitions) if (from !== undefined) writeSparsely(path, start * MiB, readFileSync(from))
  if (usrHash !== undefined) writeFileSync(join(folder, `${name}.usrhash`), usrHash)
  return path
}

/** Leaves holes where there are only zeroes. */
function writeSparsely(path: string, offset: number, bytes: Buffer): void {
  const fd = openSync(path, 'r+')
  try {
    for (let at = 0; at < bytes.length; at += 4096) {
      const block = bytes.subarray(at, at + 4096)
      if (!zeroes.subarray(0, block.length).equals(block)) writeSync(fd, block, 0, block.length, offset + at)
    }
  } finally {
    closeSync(fd)
  }
}

const zeroes = Buffer.alloc(4096)
const endOf = ({ start, size }: LayoutPartition) => start + size
