import type { Command } from 'commander'
import { DdiError } from '../errors.js'
import { print } from './output.js'

/** Prints a script that completes verbs, options and file names, made from the command line’s own description. */
export function runCompletion(shell: string, program: Command): void {
  const scripts: Record<string, (program: Command) => string> = { bash, zsh, fish }
  const make = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
  if (!make) throw new DdiError('ERR_DDI_USAGE', `no completion for ${shell}: one of bash, zsh, fish`)
  print(make(program))
}

interface Verb {
  readonly name: string
  readonly description: string
  readonly options: readonly { readonly flag: string; readonly description: string }[]
  /** The verbs under it, as `volume` has them. */
  readonly verbs: readonly Verb[]
}

function verbs(program: Command): Verb[] {
  return program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: command.options.map((option) => ({ flag: option.long ?? option.flags, description: option.description })),
    verbs: verbs(command),
  }))
}

function bash(program: Command): string {
  const all = verbs(program)
  const flags = ({ options }: Verb) => options.map(({ flag }) => flag).join(' ')
  const names = (of: readonly Verb[]) => of.map(({ name }) => name).join(' ')
  const cases = all.flatMap((verb) => [
    ...verb.verbs.map((under) => `    "${verb.name} ${under.name}") words="${flags(under)}" ;;`),
    `    "${verb.name} "*) words="${verb.verbs.length > 0 ? names(verb.verbs) : flags(verb)}" ;;`,
  ])
  return `_ddi_attach() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
${cases.join('\n')}
    *) words="${flags(all.find(({ name }) => name === 'attach')!)}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="${names(all)} --help --version"
  COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
}
complete -o filenames -F _ddi_attach ddi-attach`
}

function zsh(program: Command): string {
  return `autoload -U +X bashcompinit && bashcompinit\n${bash(program)}`
}

function fish(program: Command): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const lines = (all: readonly Verb[], condition: string): string[] =>
    all.flatMap(({ name, description, options, verbs }) => {
      const inside = `__fish_seen_subcommand_from ${name}`
      return [
        `complete -c ddi-attach -n ${quote(condition)} -a ${name} -d ${quote(description)}`,
        ...options.map(
          ({ flag, description }) =>
            `complete -c ddi-attach -n ${quote(inside)} -l ${flag.slice(2)} -d ${quote(description)}`,
        ),
        ...lines(verbs, inside),
      ]
    })
  return lines(verbs(program), '__fish_use_subcommand').join('\n')
}
