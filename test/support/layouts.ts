// Disks whose partitions have numbers, places and sector sizes of their own.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { emptyFile, MiB } from './images.js'
import { run } from './run.js'

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
  /** Where the real one is described: a repository `OWNER/NAME`, and a file in it. */
  readonly source: string
  /** In bytes. Default: 512. */
  readonly sectorSize?: number
  /** Partitions that the MBR names too, for machines that read no GPT. */
  readonly hybrid?: number
  readonly partitions: readonly LayoutPartition[]
}

/** Makes the disk of a layout. @returns its path */
export function makeLayout(folder: string, { name, sectorSize = 512, hybrid, partitions }: Layout): string {
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
  run('sgdisk', '--clear', '--set-alignment=8', ...args, disk)
  if (disk !== path) run('losetup', '--detach', disk)
  for (const { from, start } of partitions) if (from !== undefined) writeSparsely(path, start * MiB, readFileSync(from))
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
