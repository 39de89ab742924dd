// What blkid and fdisk say of a disk.
import { attempt, run } from '../support/run.js'

export interface FileSystem {
  readonly type: string
  readonly uuid: string | null
  readonly label: string | null
  readonly blockSize: number | null
}

export interface Partition {
  /** In bytes. */
  readonly start: number
  readonly size: number
  /** Of a GPT. */
  readonly type: string | null
  readonly uuid: string
  readonly label: string | null
}

/** What `blkid -p` finds in a run of bytes. */
export interface Probed {
  readonly fileSystem: FileSystem | null
  readonly table: string | null
}

/** @param where the run, in bytes; all of the disk if there is none */
export function probed(path: string, where?: { readonly start: number; readonly size: number }): Probed {
  const run = where ? [`--offset=${where.start}`, `--size=${where.size}`] : []
  const { status, stdout } = attempt('blkid', '-p', '-o', 'udev', ...run, path)
  const values = new Map([...stdout.matchAll(/^ID_([A-Z_]+)=(.*)$/gm)].map(([, name, text]) => [name, text] as const))
  const value = (name: string) => {
    const text = values.get(name)
    return text === undefined ? null : decoded(text)
  }
  const type = status === 8 ? 'ambiguous' : value('FS_TYPE')
  return {
    fileSystem:
      type === null
        ? null
        : {
            ...{ type, uuid: value('FS_UUID_ENC'), label: value('FS_LABEL_ENC') },
            blockSize: Number(value('FS_BLOCK_SIZE')) || null,
          },
    table: value('PART_TABLE_TYPE'),
  }
}

/** What `blkid -p` finds in whole files, by their paths. */
export function fileSystems(paths: readonly string[]): ReadonlyMap<string, FileSystem> {
  const probe = 'for path; do blkid -p -o export "$path" || true; echo; done'
  const found = run('sh', '-c', probe, 'sh', ...new Set(paths)).split('\n\n')
  const values = found.map(
    (one) => new Map([...one.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, text]) => [name, text])),
  )
  return new Map(
    values.flatMap((of) => {
      const [path, type] = [of.get('DEVNAME'), of.get('TYPE')]
      const blockSize = Number(of.get('BLOCK_SIZE')) || null
      return path && type
        ? [[path, { type, uuid: of.get('UUID') ?? null, label: of.get('LABEL') ?? null, blockSize }]]
        : []
    }),
  )
}

/** Text as udev encodes it: UTF-8, in which `\xNN` is a byte that is not safe in a name. */
function decoded(text: string): string {
  const bytes = Buffer.from(text).toString('latin1')
  const whole = bytes.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(whole, 'latin1').toString('utf8')
}

/** The partitions of an MBR, but no extended ones. */
export function mbrPartitions(path: string): readonly Partition[] {
  const { partitiontable } = JSON.parse(run('sfdisk', '--json', path)) as {
    readonly partitiontable: {
      readonly id: string
      readonly partitions?: readonly { readonly node: string; start: number; size: number; type: string }[]
    }
  }
  const { id, partitions = [] } = partitiontable
  return partitions
    .filter(({ type }) => !['5', 'f', '85'].includes(type))
    .map(({ node, start, size }) => {
      const number = Number(/\d+$/.exec(node)![0]).toString(16).padStart(2, '0')
      return { start: start * 512, size: size * 512, type: null, uuid: `${id.slice(2)}-${number}`, label: null }
    })
}

/** The partitions of a GPT whose sectors have a size that a file alone does not say. */
export function gptPartitions(path: string, sectorSize: number): readonly Partition[] {
  const listed = run('fdisk', '-l', `--sector-size=${sectorSize}`, '-o', 'Start,Sectors,Type-UUID,UUID,Name', path)
  const line = /^ *(\d+) +(\d+) +([0-9A-F-]{36}) +([0-9A-F-]{36}) ?(.*)$/gm
  return [...listed.matchAll(line)].map(([, start, sectors, type, uuid, label]) => ({
    start: Number(start) * sectorSize,
    size: Number(sectors) * sectorSize,
    type: type!.toLowerCase(),
    uuid: uuid!.toLowerCase(),
    label: label!,
  }))
}
