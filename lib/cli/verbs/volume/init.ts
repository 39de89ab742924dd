import { fewestEntries, initDisk, mostEntries } from '../../../attach/init-disk.js'
import { printable } from '../../../text.js'
import { diskArgument } from '../../disk-arguments.js'
import { printChangedDisk } from '../../disk-change.js'
import { dryRunOption } from '../../dry-run.js'
import { given } from '../../given.js'
import { formatSize, print, printJson } from '../../output.js'
import { integer, object } from '../../schema.js'
import { bytes, dryRun, path, uuid as uuidText } from '../../shapes.js'
import { uuid, wholeNumber } from '../../values.js'
import { flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'make an empty GPT on a blank disk',
  arguments: [diskArgument],
  options: {
    uuid: option('--uuid <uuid>', 'UUID of the disk (default: a random one)', uuid),
    entries: option(
      '--entries <count>',
      `how many partitions the table can name, ${fewestEntries} to ${mostEntries}`,
      wholeNumber(fewestEntries, mostEntries),
      `${fewestEntries}`,
    ),
    force: flag('--force', 'overwrite what the disk holds'),
    ...dryRunOption,
  },
  json: object({ path, size: bytes, uuid: uuidText, entries: integer, dryRun }),
  examples: [
    'truncate --size 64M disk.raw',
    'ddi-attach volume init disk.raw',
    'ddi-attach volume init /dev/sdb --entries 512',
  ],
  asks: ([path], { force }) => (force ? `Overwrite what ${path} holds?` : undefined),
  async run([path], { uuid, entries, force, json, dryRun }) {
    await using disk = await initDisk(path, { force, entries, dryRun, ...given({ uuid }) })
    const { size } = disk
    if (json !== 'off') return printJson({ path, size, uuid: disk.uuid, entries, dryRun }, json)
    if (!dryRun) return
    print(`${printable(path)}: ${formatSize(size)}, would have an empty table for ${entries} partitions`)
    await printChangedDisk(disk)
  },
})
