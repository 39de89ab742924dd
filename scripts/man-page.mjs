// The manual page: its prose is in docs/ddi-attach.8.in, its verbs and options come from the index of verbs.
import { readFileSync } from 'node:fs'

const roff = (text) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1')

/** `<image>` as IMAGE, `[names...]` as [NAMES...] */
export const placeholder = (spec) => spec.replace(/[<>]/g, '').toUpperCase()

const option = ({ flags, description }) => ['.RS', '.TP', `.B ${roff(flags)}`, roff(description), '.RE']

const examples = (lines) => ['.RS', '.sp', '.nf', ...lines.map(roff), '.fi', '.RE']

function verb({ name, summary, arguments: given, options, examples: lines }) {
  const synopsis = [name, ...given.map(({ spec }) => placeholder(spec))].join(' ')
  return ['.TP', `.B ${roff(synopsis)}`, roff(summary), ...options.flatMap(option), ...examples(lines)]
}

/** @param index of verbs @param template path of the prose */
export function manPage(index, template) {
  const verbs = index.verbs.flatMap(verb)
  return readFileSync(template, 'utf8').replace('@VERBS@', () => verbs.join('\n'))
}
