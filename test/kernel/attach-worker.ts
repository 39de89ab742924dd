// A process that attaches: IMAGE ROOT-HASH NAME ROUNDS. Each round detaches too; with 0 rounds it attaches once, when it is told to, and stays so.
import { once } from 'node:events'
import { attach } from '../../lib/index.js'

const [, , path, rootHash, name, rounds] = process.argv as [string, string, string, string, string, string]
if (rounds === '0') {
  process.send!('ready')
  await once(process, 'message')
  await attach(path, { rootHash, name })
  process.disconnect()
}
for (let round = 0; round < Number(rounds); round++) {
  const attachment = await attach(path, { rootHash, name })
  await attachment.detach()
}
