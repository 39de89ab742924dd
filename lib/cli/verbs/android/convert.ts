import { convertSparse } from '../../../build/android-file.js'
import { untilInterrupted } from '../../interrupt.js'
import { printJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { object } from '../../schema.js'
import { path } from '../../shapes.js'
import { argument, flag, verb } from '../../verb.js'

export default verb({
  summary: 'expand an Android sparse image as simg2img does, or with --sparse make one as img2simg does',
  arguments: [
    argument('<image>', 'image file, sparse or not, or a super_empty.img'),
    argument('<more...>', 'further parts of it, sparse too, and the new file at the end'),
  ],
  options: {
    sparse: flag('--sparse', 'write a sparse image'),
    force: flag('--force', 'replace what exists'),
  },
  json: object({ image: path, path }),
  examples: [
    'ddi-attach android convert system.simg system.img',
    'ddi-attach android convert super.img.0 super.img.1 super.img',
    'ddi-attach android convert system.img system.simg --sparse',
    'ddi-attach android convert super_empty.img super.img --sparse',
  ],
  async run([path, more], { sparse, force, json }) {
    const [output, ...others] = more.toReversed() as [string, ...string[]]
    const inputs = [path, ...others.toReversed()] as const
    const bar = await progressBar('converting')
    await convertSparse(inputs, output, {
      sparse,
      replace: force,
      onProgress: bar.update,
      signal: untilInterrupted(),
    }).finally(() => bar.stop())
    if (json !== 'off') printJson({ image: path, path: output }, json)
  },
})
