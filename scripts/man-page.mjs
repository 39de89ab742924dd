// The man page: its prose stands in docs/ddi-attach.8.in, its verbs and options in the command line's own description.
import { readFileSync } from 'node:fs'

const roff = (text) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1')

const argument = (one) => {
  const name = one.name().toUpperCase()
  return `${one.required ? name : `[${name}]`}${one.variadic ? '...' : ''}`
}

function option({ flags, description, defaultValue, defaultValueDescription }) {
  const shown = defaultValueDescription ?? defaultValue
  const fallback = shown === undefined || shown === false || flags.startsWith('--json') ? '' : ` (default: ${shown})`
  return ['.RS', '.TP', `.B ${roff(flags)}`, roff(`${description}${fallback}`), '.RE']
}

/** The examples of a verb, from the text that commander shows behind its help. */
function examples(command) {
  let text = ''
  command.configureOutput({ writeOut: (more) => (text += more) }).outputHelp()
  const lines = text.split('Examples:\n')[1]?.split('\n') ?? []
  const shown = lines.filter((line) => line.startsWith('  ')).map((line) => roff(line.trim()))
  return shown.length > 0 ? ['.RS', '.sp', '.nf', ...shown, '.fi', '.RE'] : []
}

function verb(command, path) {
  const name = [...path, command.name()]
  if (command.commands.length > 0) return command.commands.flatMap((under) => verb(under, name))
  const synopsis = [name.join(' '), ...command.registeredArguments.map(argument)].join(' ')
  return [
    '.TP',
    `.B ${roff(synopsis)}`,
    roff(command.description()),
    ...command.options.flatMap(option),
    ...examples(command),
  ]
}

/** @param program commander's description of the command line @param template path of the page's prose */
export function manPage(program, template) {
  const verbs = program.commands.filter((command) => command.name() !== 'help').flatMap((command) => verb(command, []))
  return readFileSync(template, 'utf8').replace('@VERBS@', () => verbs.join('\n'))
}
