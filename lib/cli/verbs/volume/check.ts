import { openDisk } from '../../../attach/disk.js'
import { printable } from '../../../text.js'
import { diskArgument } from '../../disk-change.js'
import { json } from '../../options.js'
import { print, printJson } from '../../output.js'
import { flag, verb } from '../../verb.js'

export default verb({
  summary: 'show what is wrong with the table; --repair restores a lost copy and frees orphans',
  arguments: [diskArgument],
  options: { repair: flag('--repair', 'repair it'), ...json },
  examples: ['ddi-attach volume check disk.raw --repair'],
  async run([path], { json, repair }) {
    const findings = await check(path, repair)
    if (json !== 'off') printJson({ findings, repaired: repair && findings.length > 0 }, json)
    else for (const finding of findings) print(`${repair ? 'repaired: ' : ''}${printable(finding)}`)
  },
})

async function check(path: string, repair: boolean): Promise<readonly string[]> {
  await using disk = await openDisk(path)
  return await disk.check({ repair })
}
