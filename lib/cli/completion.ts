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
}

function verbs(program: Command): Verb[] {
  return program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: command.options.map((option) => ({ flag: option.long ?? option.flags, description: option.description })),
  }))
}

function bash(program: Command): string {
  const all = verbs(program)
  const cases = all.map(({ name, options }) => `    ${name}) words="${options.map(({ flag }) => flag).join(' ')}" ;;`)
  return `_ddi_attach() {
  local current="\${COMP_WORDS[COMP_CWORD]}" verb="\${COMP_WORDS[1]}" words=""
  case "$verb" in
${cases.join('\n')}
    *) words="${all
      .find(({ name }) => name === 'attach')!
      .options.map(({ flag }) => flag)
      .join(' ')}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="${all.map(({ name }) => name).join(' ')} --help --version"
  COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
}
complete -o filenames -F _ddi_attach ddi-attach`
}

function zsh(program: Command): string {
  return `autoload -U +X bashcompinit && bashcompinit\n${bash(program)}`
}

function fish(program: Command): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  return verbs(program)
    .flatMap(({ name, description, options }) => [
      `complete -c ddi-attach -n __fish_use_subcommand -a ${name} -d ${quote(description)}`,
      ...options.map(
        ({ flag, description }) =>
          `complete -c ddi-attach -n ${quote(`__fish_seen_subcommand_from ${name}`)} -l ${flag.slice(2)} -d ${quote(description)}`,
      ),
    ])
    .join('\n')
}
