import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { run, temporaryFolder } from '../../support/run.js'

/**
 * Adds files to an initrd: the kernel unpacks one archive after the other, Documentation/driver-api/early-userspace/buffer-format.rst.
 * @param files by path; scripts and programs can be executed
 */
export function addToInitrd(initrd: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true })
    const isProgram = /^(#!|\x7fELF)/.test(Buffer.from(content).toString('latin1', 0, 4))
    writeFileSync(join(tree, path), content, { mode: isProgram ? 0o755 : 0o644 })
  }
  run('sh', '-c', `cd '${tree}' && find . | cpio --quiet --create --format=newc >> '${initrd}'`)
}
