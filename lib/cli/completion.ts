import type { OptionFacts } from './verb.js'
import { longName } from './verb.js'
import type { IndexedVerb, VerbIndex } from './verb-index.js'

type Shell = 'bash' | 'zsh' | 'fish'

/** A script that completes verbs, options, their choices and file names. */
export function completionScript(shell: Shell, index: VerbIndex): string {
  if (shell === 'fish') return fish(index)
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bash(index)}` : bash(index)
}

const flagsOf = ({ options }: IndexedVerb) => options.map(({ flags }) => longName(flags)).join(' ')

/** The words after `ddi-attach`, or after a group. */
function wordsAfter(group: string | null, { verbs }: VerbIndex): readonly string[] {
  const paths = verbs.map(({ name }) => name.split(' '))
  return [...new Set(paths.flatMap(([first, second]) => (group === null ? first! : first === group ? second! : [])))]
}

function bash(index: VerbIndex): string {
  const cases = [
    ...index.verbs.map(
      (verb) => `    ${verb.name.includes(' ') ? `"${verb.name}"` : `"${verb.name} "*`}) words="${flagsOf(verb)}" ;;`,
    ),
    ...Object.keys(index.groups).map((group) => `    "${group} "*) words="${wordsAfter(group, index).join(' ')}" ;;`),
  ]
  return `_ddi_attach() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
${cases.join('\n')}
    *) words="${flagsOf(index.verbs.find(({ name }) => name === 'attach')!)}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="${wordsAfter(null, index).join(' ')} --help --version"
  COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
}
complete -o filenames -F _ddi_attach ddi-attach`
}

function fish(index: VerbIndex): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const word = (condition: string, name: string, summary: string) =>
    `complete -c ddi-attach -n ${quote(condition)} -a ${name} -d ${quote(summary)}`
  const option = (condition: string, { flags, description, choices }: OptionFacts) =>
    `complete -c ddi-attach -n ${quote(condition)} -l ${longName(flags).slice(2)}` +
    `${choices.length > 0 ? ` -x -a ${quote(choices.join(' '))}` : ''} -d ${quote(description)}`
  const seen = (name: string) => `__fish_seen_subcommand_from ${name}`
  return [
    ...Object.entries(index.groups).map(([name, summary]) => word('__fish_use_subcommand', name, summary)),
    ...index.verbs.flatMap(({ name, summary, options }) => {
      const [first, second] = name.split(' ') as [string, string?]
      const inside = second === undefined ? seen(first) : `${seen(first)}; and ${seen(second)}`
      return [
        second === undefined ? word('__fish_use_subcommand', first, summary) : word(seen(first), second, summary),
        ...options.map((one) => option(inside, one)),
      ]
    }),
  ].join('\n')
}
