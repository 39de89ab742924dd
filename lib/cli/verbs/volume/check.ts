import { type OpenDiskOptions, openDisk } from '../../../attach/disk.js'
import type { CheckResult } from '../../../disk/table.js'
import { printable } from '../../../text.js'
import { choice } from '../../choice.js'
import { diskArgument } from '../../disk-arguments.js'
import { dryRunOption } from '../../dry-run.js'
import { exitStatus } from '../../exit.js'
import { given } from '../../given.js'
import { print, printJson } from '../../output.js'
import { array, object, string } from '../../schema.js'
import { dryRun } from '../../shapes.js'
import { flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'show what is wrong with the table; --repair restores a lost copy or protective MBR and frees orphans',
  arguments: [diskArgument],
  options: {
    repair: flag('--repair', 'repair it'),
    table: option('--table <copy>', 'backup: rescue what only the end of the disk still says', choice('backup')),
    force: flag('--force', 'with --table=backup: overwrite what lies where the primary table goes'),
    ...dryRunOption,
  },
  json: object({ mended: array(string), left: array(string), dryRun }),
  examples: ['ddi-attach volume check disk.raw --repair', 'ddi-attach volume check disk.raw --repair --dry-run'],
  asks: ([path], { repair, force }) =>
    repair && force ? `Overwrite what lies where the primary table of ${path} goes?` : undefined,
  async run([path], { json, repair, table, force, dryRun }) {
    const { mended, left } = await check(path, repair, given({ table, force, dryRun }))
    if (json !== 'off') printJson({ mended, left, dryRun }, json)
    else {
      const lines = [
        ...mended.map((one) => `${dryRun ? 'would be mended' : 'mended'}: ${printable(one)}`),
        ...left.map((one) => `${repair ? 'not mended: ' : ''}${printable(one)}`),
      ]
      if (lines.length > 0) print(lines.join('\n'))
    }
    if (left.length > 0) process.exitCode = exitStatus.image
  },
})

async function check(path: string, repair: boolean, options: OpenDiskOptions): Promise<CheckResult> {
  await using disk = await openDisk(path, options)
  return await disk.check({ repair })
}
