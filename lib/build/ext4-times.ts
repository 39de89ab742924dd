import { rm, writeFile } from 'node:fs/promises'

/** Runs a tool of a Debian package. @returns its standard output */
export type RunPackaged = (packageName: string, command: readonly [string, ...string[]]) => Promise<string>

/** mke2fs takes change and access times from the tree, and no tool can set the former there. */
export async function setExt4Times(path: string, epoch: number, run: RunPackaged): Promise<void> {
  const used = usedInodes(await run('e2fsprogs', ['dumpe2fs', path]))
  const commands = used.flatMap((inode) =>
    ['atime', 'ctime', 'mtime', 'crtime'].map((time) => `set_inode_field <${inode}> ${time} @${epoch}`),
  )
  const script = `${path}.times`
  await writeFile(script, `${commands.join('\n')}\n`)
  await run('e2fsprogs', ['debugfs', '-w', '-f', script, path])
  await rm(script)
}

/** The inodes in use, from the report of dumpe2fs. */
function usedInodes(report: string): readonly number[] {
  const count = Number(/^Inode count:\s+(\d+)/m.exec(report)?.[1])
  const free = [...report.matchAll(/^ {2}Free inodes: (.*)$/gm)].flatMap(([, list = '']) =>
    list
      .split(', ')
      .filter((range) => range !== '')
      .map((range) => range.split('-').map(Number) as [number, number?]),
  )
  const isFree = new Uint8Array(count + 1)
  for (const [first, last = first] of free) isFree.fill(1, first, last + 1)
  return Array.from({ length: count }, (_, index) => index + 1).filter((inode) => !isFree[inode])
}
