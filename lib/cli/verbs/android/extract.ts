import { extractLogical } from '../../../build/android-file.js'
import { untilInterrupted } from '../../interrupt.js'
import { logicalOptions } from '../../logical.js'
import { formatSize, print, printJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { array, object, string } from '../../schema.js'
import { bytes, path } from '../../shapes.js'
import { superArgument } from '../../super.js'
import { text } from '../../values.js'
import { argument, flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'write logical partitions to files NAME.img, as lpunpack does',
  arguments: [superArgument, argument('[names...]', 'logical partitions (default: all)')],
  options: {
    output: option('--output <directory>', 'where to write them', text, '.'),
    sparse: flag('--sparse', 'write Android sparse images'),
    force: flag('--force', 'replace what exists'),
    ...logicalOptions,
  },
  json: object({ image: path, extracted: array(object({ name: string, path, size: bytes })) }),
  examples: ['ddi-attach android extract super.img --output parts', 'ddi-attach android extract super.img system_a'],
  async run([path, names], options) {
    const { json, output, sparse, force, slot, device } = options
    const bar = await progressBar('extracting')
    const extracted = await extractLogical(path, output, {
      ...{ names, slot, sparse, replace: force, devices: Object.fromEntries(device) },
      onProgress: bar.update,
      signal: untilInterrupted(),
    }).finally(() => bar.stop())
    if (json !== 'off') printJson({ image: path, extracted }, json)
    else for (const one of extracted) print(`${one.path}: ${formatSize(one.size)}`)
  },
})
