import { extractLogical } from '../../../build/android-file.js'
import { DdiError } from '../../../errors.js'
import { dryRunOption } from '../../dry-run.js'
import { untilInterrupted } from '../../interrupt.js'
import { logicalOptions } from '../../logical.js'
import { formatSize, print, printJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { array, object, string } from '../../schema.js'
import { bytes, dryRun, path } from '../../shapes.js'
import { inputFile, printFile, streamDirectory } from '../../streams.js'
import { superArgument } from '../../super.js'
import { text } from '../../values.js'
import { argument, flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'write logical partitions to files NAME.img, as lpunpack does',
  arguments: [superArgument, argument('[names...]', 'logical partitions (default: all)')],
  options: {
    output: option('--output <directory>', 'where to write them; - is standard output, for one', text, '.'),
    sparse: flag('--sparse', 'write Android sparse images'),
    force: flag('--force', 'replace what exists'),
    ...dryRunOption,
    ...logicalOptions,
  },
  json: object({ image: path, extracted: array(object({ name: string, path, size: bytes })), dryRun }),
  examples: [
    'ddi-attach android extract super.img --output parts',
    'ddi-attach android extract super.img system_a --output - | file -',
  ],
  async run([path, names], options) {
    const { json, output, sparse, force, slot, device, dryRun } = options
    const isPiped = output === '-'
    if (isPiped && (names.length !== 1 || json !== 'off'))
      throw new DdiError('ERR_DDI_USAGE', 'standard output takes one partition, and no JSON besides: name one')
    const signal = untilInterrupted()
    await using input = await inputFile(path, signal)
    await using directory = isPiped ? await streamDirectory() : undefined
    const bar = await progressBar('extracting')
    const extracted = await extractLogical(input.path, directory?.path ?? output, {
      ...{ names, slot, sparse, dryRun, replace: force, devices: Object.fromEntries(device), signal },
      onProgress: bar.update,
    }).finally(() => bar.stop())
    if (isPiped && !dryRun) for (const one of extracted) await printFile(one.path, signal)
    else if (json !== 'off') printJson({ image: path, extracted, dryRun }, json)
    else for (const one of extracted) print(`${one.path}: ${dryRun ? 'would have ' : ''}${formatSize(one.size)}`)
  },
})
