import { readFile } from 'node:fs/promises'

/** Where devices are mounted in our mount namespace: a mount point for each `major:minor` (proc(5), mountinfo). */
export async function mountPoints(): Promise<ReadonlyMap<string, string>> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).trimEnd().split('\n')
  return new Map(
    // Of several mounts of a device the first counts.
    lines.reverse().map((line) => {
      const fields = line.split(' ')
      // The kernel spells spaces and their like in octal.
      const path = fields[4]!.replace(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      )
      return [fields[2]!, path] as const
    }),
  )
}
