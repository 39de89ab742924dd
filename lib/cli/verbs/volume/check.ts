import { openDisk } from '../../../attach/disk.js'
import type { CheckResult } from '../../../disk/table.js'
import { printable } from '../../../text.js'
import { diskArgument } from '../../disk-change.js'
import { exitStatus } from '../../exit.js'
import { json } from '../../options.js'
import { print, printJson } from '../../output.js'
import { flag, verb } from '../../verb.js'

export default verb({
  summary: 'show what is wrong with the table; --repair restores a lost copy or protective MBR and frees orphans',
  arguments: [diskArgument],
  options: { repair: flag('--repair', 'repair it'), ...json },
  examples: ['ddi-attach volume check disk.raw --repair'],
  async run([path], { json, repair }) {
    const { mended, left } = await check(path, repair)
    if (json !== 'off') printJson({ mended, left }, json)
    else {
      for (const one of mended) print(`mended: ${printable(one)}`)
      for (const one of left) print(`${repair ? 'not mended: ' : ''}${printable(one)}`)
    }
    if (left.length > 0) process.exitCode = exitStatus.image
  },
})

async function check(path: string, repair: boolean): Promise<CheckResult> {
  await using disk = await openDisk(path)
  return await disk.check({ repair })
}
