import { Command, Option } from 'commander'
import { printable } from '../text.js'
import type { ArgumentFacts, OptionFacts, Words } from './verb.js'
import type { IndexedVerb, NamedVerb, VerbIndex } from './verb-index.js'

/**
 * The whole command line, as commander takes it. It only splits text into words: values are parsed by the verb itself.
 * @param index verbs of which only name and summary are known are those that the command line does not begin with
 * @param run gets the verb, and what was given to it
 */
export function program(
  index: VerbIndex<NamedVerb | IndexedVerb>,
  run: (verb: IndexedVerb, given: Words) => Promise<void>,
): Command {
  const ddi = new Command('ddi-attach')
    .enablePositionalOptions()
    .description('Attach, inspect and verify Discoverable Disk Images.')
    .usage('[attach] IMAGE | VERB …')
    .version(index.version, '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [verb]', 'print help for a verb')
    .showHelpAfterError('(see ddi-attach --help)')
    .configureOutput({
      outputError: (text, write) =>
        write(
          text
            .replace(/^error: /, 'ddi-attach: ')
            .split('\n')
            .map(printable)
            .join('\n'),
        ),
    })
    .addHelpText(
      'after',
      examplesText(['ddi-attach image.raw', 'ddi-attach inspect image.raw', 'ddi-attach detach image.raw']),
    )
    .addHelpText(
      'after',
      '\nExit status: 0 done, 1 failed, 2 wrong usage, 3 the image is not acceptable, 4 not permitted, 129, 130 and 143 interrupted.',
    )
    .exitOverride()
  const groups = new Map<string, Command>()
  for (const verb of index.verbs) {
    const [first, second] = verb.name.split(' ') as [string, string?]
    if (second === undefined) {
      addVerb(ddi, first, verb, run)
      continue
    }
    const group =
      groups.get(first) ??
      ddi
        .command(first)
        .description(index.groups[first] ?? '')
        .showHelpAfterError(`(see ddi-attach help ${first})`)
        .exitOverride()
    groups.set(first, group)
    addVerb(group, second, verb, run)
  }
  return ddi
}

function addVerb(
  parent: Command,
  name: string,
  verb: NamedVerb | IndexedVerb,
  run: (verb: IndexedVerb, given: Words) => Promise<void>,
): void {
  const command = parent.command(name).description(verb.summary)
  if (!('options' in verb)) return
  const options = verb.options.map(optionOf)
  command
    .showHelpAfterError(`(see ddi-attach help ${verb.name})`)
    .addHelpText('after', examplesText(verb.examples))
    .exitOverride()
  for (const one of verb.arguments) command.argument(one.spec, one.description)
  for (const one of options) command.addOption(one)
  if (verb.passThroughOptions) command.passThroughOptions()
  command.action(() =>
    run(verb, {
      arguments: verb.arguments.map((one, index) => textsOf(one, command.processedArgs[index])),
      options: options.map((one) => (command.getOptionValue(one.attributeName()) ?? []) as readonly string[]),
    }),
  )
}

/** An option whose value is the list of all texts given; a flag gives empty ones. */
function optionOf({ flags, description, required }: OptionFacts): Option {
  const option = new Option(flags, description)
  // Commander would take --no-check for the opposite of an option --check.
  option.negate = false
  return option
    .makeOptionMandatory(required)
    .argParser((text: string | undefined, earlier: readonly string[] = []) => [...earlier, text ?? ''])
}

/** @param value as commander leaves it: a text, a list of them, or undefined */
function textsOf({ spec }: ArgumentFacts, value: unknown): readonly string[] {
  if (value === undefined) return []
  return spec.includes('...') ? (value as readonly string[]) : [value as string]
}

function examplesText(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}
