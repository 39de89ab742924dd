import type { TableProblem } from '../image/contents.js'
import type { TreeSource } from '../mount/entries.js'
import { hintFor } from './hints.js'
import { imageOptions } from './options.js'
import { note } from './output.js'
import { longName } from './verb.js'

/** Reports what is wrong with an image and does not keep it from being used. */
export function noteProblems(problems: readonly TableProblem[]): void {
  const options = Object.values(imageOptions).map(({ flags }) => longName(flags))
  for (const { message } of problems) note(message)
  // A hundred problems may have one way out.
  for (const hint of new Set(problems.map((problem) => hintFor(problem, options))))
    if (hint !== undefined) note(`hint: ${hint}`)
}

/** Reports that files were not read from a mount. */
export function noteSource(source: TreeSource): void {
  if (source.kind === 'tool') note(`read by ${source.tool}, not from a mount`)
}
