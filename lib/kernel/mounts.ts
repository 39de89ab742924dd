import { readFile } from 'node:fs/promises'

/** A mount in our mount namespace (proc(5), mountinfo). */
export interface Mount {
  readonly id: number
  /** The mount that it is mounted on. */
  readonly parent: number
  /** `major:minor` of its file system. */
  readonly device: string
  readonly path: string
  readonly type: string
  /** What was mounted, as whoever mounted it named it. */
  readonly source: string
}

/** All mounts, in the order in which they were made. */
export async function listMounts(): Promise<readonly Mount[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).trimEnd().split('\n')
  return lines.map((line) => {
    const [id, parent, device, , path, ...rest] = line.split(' ') as [
      string,
      string,
      string,
      string,
      string,
      ...string[],
    ]
    // The kernel spells spaces and their like in octal.
    const plain = path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    const [type, source] = rest.slice(rest.indexOf('-') + 1) as [string, string]
    return { id: Number(id), parent: Number(parent), device, path: plain, type, source }
  })
}

/** Where devices are mounted: the first mount point of each `major:minor`. */
export async function mountPoints(): Promise<ReadonlyMap<string, string>> {
  return new Map([...(await listMounts())].reverse().map(({ device, path }) => [device, path]))
}
