import { readFileSync, writeFileSync } from 'node:fs'
import { memorySource } from '../../lib/bytes/memory.js'
import { appendSections } from '../../lib/uki/pe-sections.js'

const stub = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub'

/** Something in the shape of a UKI, with these sections behind systemd's stub. */
export async function makeSmallUki(path: string, sections: Readonly<Record<string, string>>): Promise<string> {
  const added = Object.entries(sections).map(([name, text]) => ({ name, content: memorySource(Buffer.from(text)) }))
  const program = appendSections(readFileSync(stub), added, stub)
  writeFileSync(path, await program.read(0, program.size))
  return path
}
