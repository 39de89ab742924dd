import { listings } from './listed.js'
import type { ArgumentFacts, OptionFacts } from './verb.js'
import { longName } from './verb.js'
import type { IndexedVerb, VerbIndex } from './verb-index.js'

export function fishCompletion(index: VerbIndex): string {
  return [
    // The words before the cursor that are no options.
    "function __ddi_attach_words\n  commandline -opc | string match -v -- '-*'\nend",
    ...Object.entries(index.groups).map(([name, summary]) => word('__fish_use_subcommand', name, summary)),
    ...index.verbs.flatMap(completionsOf),
  ].join('\n')
}

const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

function word(condition: string, name: string, summary: string): string {
  return `complete -c ddi-attach -n ${quote(condition)} -a ${name} -d ${quote(summary)}`
}

function completionsOf({ name, summary, options, arguments: given }: IndexedVerb): readonly string[] {
  const [first, second] = name.split(' ') as [string, string?]
  const seen = (one: string) => `__fish_seen_subcommand_from ${one}`
  const inside = second === undefined ? seen(first) : `${seen(first)}; and ${seen(second)}`
  return [
    second === undefined
      ? word('__fish_use_subcommand', first, summary)
      : word(`${seen(first)}; and ${afterWords(2)}`, second, summary),
    ...options.map((one) => option(inside, one)),
    ...given.flatMap((one, place) => argument(inside, one, name.split(' ').length + 1 + place)),
  ]
}

function option(condition: string, { flags, description, choices }: OptionFacts): string {
  const values = choices.length > 0 ? ` -x -a ${quote(choices.join(' '))}` : ''
  return `complete -c ddi-attach -n ${quote(condition)} -l ${longName(flags).slice(2)}${values} -d ${quote(description)}`
}

const afterWords = (count: number) => `test (count (__ddi_attach_words)) -eq ${count}`

/** @param before how many words stand before it */
function argument(inside: string, { suggests }: ArgumentFacts, before: number): readonly string[] {
  if (suggests === null) return []
  const condition = quote(`${inside}; and ${afterWords(before)}`)
  const values = typeof suggests === 'object' ? suggests.join(' ') : `(${listing(suggests, before)})`
  return [`complete -c ddi-attach -n ${condition} -x -a ${quote(values)}`]
}

function listing(suggests: keyof typeof listings, before: number): string {
  const { words, column } = listings[suggests]
  const disk = suggests === 'attachments' ? '' : ` (__ddi_attach_words)[${before}]`
  return `ddi-attach ${words}${disk} -n -o ${column} 2>/dev/null`
}
