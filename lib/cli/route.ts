import { DdiError } from '../errors.js'
import { printable } from '../text.js'
import type { NamedVerb, VerbIndex } from './verb-index.js'

/** The verb of a command line that begins with an image. */
const defaultVerb = 'attach'

/**
 * What commander is to take for a command line: `attach` for one that begins with an image, and help where it is asked for.
 * A word that is neither a verb nor a file is left for commander to suggest a verb for.
 * @param exists tells whether a file has this path
 * @throws ERR_DDI_USAGE for options before a verb
 */
export function route(
  argv: readonly string[],
  { verbs, groups }: VerbIndex<NamedVerb>,
  exists: (path: string) => boolean,
): readonly string[] {
  const [first, second] = argv
  const isVerb = (...words: readonly string[]) => verbs.some(({ name }) => name === words.join(' '))
  if (first === undefined) return ['--help']
  if (first === 'help' || (first in groups && second === 'help')) {
    const asked = first === 'help' ? argv.slice(1) : [first, ...argv.slice(2)]
    const verb = [asked.slice(0, 2), asked.slice(0, 1)].find((words) => isVerb(...words))
    // Words behind a verb do not have it run.
    if (verb) return [...verb, '--help']
    const isGroup = asked.length === 1 && asked[0]! in groups
    return isGroup || asked.length === 0 ? [...asked, '--help'] : asked
  }
  if (first in groups) return second === undefined ? [first, '--help'] : argv
  if (isVerb(first) || ['-h', '--help', '--version'].includes(first)) return argv
  // Of those that every verb has, it is clear which words are their values.
  const isCommon = /^(-q|-v|--quiet|--verbose|--json(=.*)?)$/.test(first)
  const late = isCommon ? argv.find((word) => isVerb(word) || word in groups) : undefined
  if (late !== undefined)
    throw new DdiError('ERR_DDI_USAGE', `options come behind the verb: ddi-attach ${late} ${printable(first)} …`)
  const mayBeVerb = /^[a-z][a-z-]*$/i.test(first) && !exists(first)
  return mayBeVerb ? argv : [defaultVerb, ...argv]
}
