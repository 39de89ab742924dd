import { expand } from '../../../android/sparse.js'
import { openFile } from '../../../bytes/file.js'
import { given } from '../../given.js'
import { untilInterrupted } from '../../interrupt.js'
import { argument, flag, verb } from '../../verb.js'
import { writeOut } from '../../write-out.js'

export default verb({
  summary: 'expand an Android sparse image as simg2img does, or with --sparse make one as img2simg does',
  arguments: [argument('<image>', 'image file, sparse or not'), argument('<output>', 'new file')],
  options: {
    sparse: flag('--sparse', 'write a sparse image'),
    force: flag('--force', 'replace what exists'),
  },
  examples: [
    'ddi-attach android convert system.simg system.img',
    'ddi-attach android convert system.img system.simg --sparse',
  ],
  async run([path, output], { sparse: toSparse, force }) {
    await using file = await openFile(path)
    const { source, sparse } = await expand(file)
    const signal = untilInterrupted()
    await sparse?.verify({ signal })
    await writeOut(source, output, 'converting', {
      sparse: toSparse,
      force,
      from: path,
      signal,
      ...given({ written: sparse?.written }),
    })
  },
})
