import { join } from 'node:path'
import { convertSparse } from '../../../build/android-file.js'
import { DdiError } from '../../../errors.js'
import { printable } from '../../../text.js'
import { dryRunOption } from '../../dry-run.js'
import { untilInterrupted } from '../../interrupt.js'
import { print, printJson, refuseJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { object } from '../../schema.js'
import { dryRun, path } from '../../shapes.js'
import { inputFile, printFile, streamDirectory } from '../../streams.js'
import { argument, flag, verb } from '../../verb.js'

export default verb({
  summary: 'expand an Android sparse image as simg2img does, or with --sparse make one as img2simg does',
  arguments: [
    argument('<image>', 'image file, sparse or not, or a super_empty.img; - is standard input'),
    argument('<more...>', 'further parts of it, sparse too, and the new file at the end; - is standard output'),
  ],
  options: {
    sparse: flag('--sparse', 'write a sparse image'),
    force: flag('--force', 'replace what exists'),
    ...dryRunOption,
  },
  json: object({ image: path, path, dryRun }),
  examples: [
    'ddi-attach android convert system.simg system.img',
    'ddi-attach android convert super.img.0 super.img.1 super.img',
    'ddi-attach android convert system.img system.simg --sparse',
    'ddi-attach android convert super_empty.img super.img --sparse',
    'zcat system.simg.gz | ddi-attach android convert - system.img',
  ],
  async run([path, more], { sparse, force, dryRun, json }) {
    const [output, ...others] = more.toReversed() as [string, ...string[]]
    const given = [path, ...others.toReversed()] as const
    if (given.filter((one) => one === '-').length > 1)
      throw new DdiError('ERR_DDI_USAGE', 'standard input is one image: only one - can be read')
    if (output === '-') refuseJson('image', json)
    const signal = untilInterrupted()
    await using piped = given.includes('-') ? await inputFile('-', signal) : undefined
    await using directory = output === '-' ? await streamDirectory() : undefined
    const [first, ...rest] = given.map((one) => (one === '-' ? piped!.path : one))
    const to = directory ? join(directory.path, 'output') : output
    const bar = await progressBar('converting')
    await convertSparse([first!, ...rest], to, {
      ...{ sparse, replace: force, dryRun, signal },
      onProgress: bar.update,
    }).finally(() => bar.stop())
    if (directory && !dryRun) await printFile(to, signal)
    if (json !== 'off') printJson({ image: path, path: output, dryRun }, json)
    else if (dryRun) print(`${printable(output)}: would be written`)
  },
})
