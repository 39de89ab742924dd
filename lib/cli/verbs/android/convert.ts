import { joinSparse } from '../../../android/join-sparse.js'
import { isSparse, openSparse, type SparseSource } from '../../../android/sparse.js'
import { concatSources } from '../../../bytes/concat.js'
import { type FileSource, openFile } from '../../../bytes/file.js'
import { zeroSource } from '../../../bytes/repeat.js'
import { alignUp } from '../../../bytes/runs.js'
import type { Source } from '../../../bytes/source.js'
import { DdiError } from '../../../errors.js'
import { given } from '../../given.js'
import { untilInterrupted } from '../../interrupt.js'
import { argument, flag, verb } from '../../verb.js'
import { writeOut } from '../../write-out.js'

const blockSize = 4096

export default verb({
  summary: 'expand an Android sparse image as simg2img does, or with --sparse make one as img2simg does',
  arguments: [
    argument('<image>', 'image file, sparse or not'),
    argument('<more...>', 'further parts of it, sparse too, and the new file at the end'),
  ],
  options: {
    sparse: flag('--sparse', 'write a sparse image'),
    force: flag('--force', 'replace what exists'),
  },
  examples: [
    'ddi-attach android convert system.simg system.img',
    'ddi-attach android convert super.img.0 super.img.1 super.img',
    'ddi-attach android convert system.img system.simg --sparse',
  ],
  async run([path, more], { sparse: toSparse, force }) {
    const [output, ...others] = more.toReversed() as [string, ...string[]]
    const inputs = [path, ...others.toReversed()]
    const files: FileSource[] = []
    try {
      for (const one of inputs) files.push(await openFile(one))
      const signal = untilInterrupted()
      const { source, written } = await joined(files, signal)
      const padded = toSparse ? inBlocks(source) : source
      await writeOut(padded, output, 'converting', {
        sparse: toSparse,
        force,
        from: inputs,
        signal,
        ...given({ written }),
      })
    } finally {
      for (const file of files) await file.close()
    }
  },
})

interface Whole {
  readonly source: Source
  /** What of it is defined; undefined for all. */
  readonly written?: SparseSource['written']
}

async function joined(files: readonly FileSource[], signal: AbortSignal): Promise<Whole> {
  const [only] = files
  if (files.length === 1 && !(await isSparse(only!))) return { source: only! }
  const parts: SparseSource[] = []
  for (const file of files) {
    if (!(await isSparse(file)))
      throw new DdiError(
        'ERR_DDI_USAGE',
        `${file.path} is not an Android sparse image: parts of one are, and the new file comes last`,
      )
    const part = await openSparse(file)
    await part.verify({ signal })
    parts.push(part)
  }
  const [first, ...others] = parts
  if (others.length === 0) return { source: first!, written: first!.written }
  const source = joinSparse([first!, ...others])
  return { source, written: source.written }
}

/** A sparse image has whole blocks: img2simg fills the last one with zeroes, too. */
function inBlocks(source: Source): Source {
  const rest = alignUp(source.size, blockSize) - source.size
  return rest === 0 ? source : concatSources([source, zeroSource(rest)])
}
