import { listings } from './listed.js'
import type { ArgumentFacts, OptionFacts } from './verb.js'
import { longName } from './verb.js'
import type { IndexedVerb, VerbIndex } from './verb-index.js'

/** For bash, and for zsh, which runs it by its bashcompinit. Words of an image never reach an expansion. */
export function bashCompletion(index: VerbIndex): string {
  return `_ddi_attach() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="" word="" verb="" disk="" place=0 prefix="" words="" known=1 equals=0 number
  for ((number = 1; number < COMP_CWORD; number++)); do
    word="\${COMP_WORDS[number]}"
    if [[ $word == "=" ]]; then equals=1; continue; fi
    if [[ $word == -* ]]; then previous="$word"; continue; fi
    if [[ $equals -eq 1 ]] || _ddi_attach_takes_value "$verb $previous"; then equals=0 previous="$word"; continue; fi
    previous="$word"
    if [[ -z $verb ]]; then verb="$word"
    elif [[ $verb != *" "* ]] && _ddi_attach_is_group "$verb"; then verb="$verb $word"
    else disk="$(_ddi_attach_plain "$word")"; ((place++)); fi
  done
  [[ $current == "=" ]] && current=""
  if [[ $current == --*=* ]]; then previous="\${current%%=*}" prefix="$previous=" current="\${current#*=}"; fi
  case "$verb $previous" in
${index.verbs.flatMap(optionCases).join('\n')}
    *) known=0 ;;
  esac
  if [[ $known -eq 0 ]]; then
    if [[ -z $verb ]]; then words=${lines([...wordsAfter(null, index), '--help', '--version'])}
    elif [[ $verb == help ]]; then known=1 words=${lines(wordsAfter(null, index))}
    elif [[ $current == -* ]]; then
      case "$verb" in
${index.verbs.map((verb) => `        "${verb.name}") words=${lines(flagsOf(verb))} ;;`).join('\n')}
        *) words=${lines(flagsOf(index.verbs.find(({ name }) => name === 'attach')!))} ;;
      esac
    else
      case "$verb $place" in
${Object.keys(index.groups)
  .map((group) => `        "${group} 0") words=${lines(wordsAfter(group, index))} ;;`)
  .join('\n')}
${index.verbs.flatMap(argumentCases).join('\n')}
      esac
    fi
  fi
  COMPREPLY=()
  while IFS= read -r word; do
    [[ -n $word && $word != - && ( $word != -* || $current == -* ) && $word == "$current"* ]] && COMPREPLY+=("$prefix$word")
  done <<<"$words"
  [[ $known -eq 1 ]] && return
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
}
${functions(index)}
complete -o filenames -F _ddi_attach ddi-attach`
}

/** What the completion calls. */
function functions(index: VerbIndex): string {
  return `_ddi_attach_is_group() {
  case "$1" in ${Object.keys(index.groups).join('|')}) return 0 ;; *) return 1 ;; esac
}
_ddi_attach_takes_value() {
  case "$1" in
${index.verbs.flatMap(valueCases).join('\n')}
    *) return 1 ;;
  esac
}
# A word of a command line without the usual ways to quote it: nothing of it is run.
_ddi_attach_plain() {
  local word="$1"
  case "$word" in \\'*\\' | \\"*\\") word="\${word:1:\${#word}-2}" ;; esac
  word="\${word//\\\\/}"
  [[ $word == "~/"* ]] && word="$HOME/\${word#??}"
  printf %s "$word"
}`
}

/** Words as one of the shell, a line each: those that a disk lists may have spaces. */
const lines = (words: readonly string[]) => `'${words.join('\n')}'`

const flagsOf = ({ options }: IndexedVerb) => options.map(({ flags }) => longName(flags))

/** The words after `ddi-attach`, or after a group. */
function wordsAfter(group: string | null, { verbs }: VerbIndex): readonly string[] {
  const paths = verbs.map(({ name }) => name.split(' '))
  return [...new Set(paths.flatMap(([first, second]) => (group === null ? first! : first === group ? second! : [])))]
}

function optionCases({ name, options }: IndexedVerb): readonly string[] {
  return options
    .filter(({ choices }) => choices.length > 0)
    .map((one: OptionFacts) => `    "${name} ${longName(one.flags)}") words=${lines(one.choices)} ;;`)
}

/** Options whose value is the next word: it is no argument of the verb. */
function valueCases({ name, options }: IndexedVerb): readonly string[] {
  const flags = options.flatMap(({ flags }) => (flags.includes('<') ? flags.replace(/ <.*/, '').split(', ') : []))
  return flags.length > 0 ? [`    ${flags.map((flag) => `"${name} ${flag}"`).join(' | ')}) return 0 ;;`] : []
}

function argumentCases({ name, arguments: given }: IndexedVerb): readonly string[] {
  return given.flatMap(({ suggests }: ArgumentFacts, place) => {
    if (suggests === null) return []
    const at = `        "${name} ${place}")`
    if (typeof suggests === 'object') return [`${at} words=${lines(suggests)} ;;`]
    const { words, column } = listings[suggests]
    const disk = suggests === 'attachments' ? '' : ' "$disk"'
    return [`${at} words="$("\${COMP_WORDS[0]}" ${words}${disk} -n -o ${column} 2>/dev/null)" ;;`]
  })
}
