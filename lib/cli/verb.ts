import { DdiError } from '../errors.js'
import { choice } from './choice.js'
import { beQuiet } from './output.js'
import type { Listed, Parser } from './parser.js'
import type { Schema } from './schema.js'

/** What help, completion and the manual say of an option. */
export interface OptionFacts {
  /** As commander has them: `--size <size>`, `-o, --output <file>`, `--force`. */
  readonly flags: string
  /** With its choices and its default. */
  readonly description: string
  readonly required: boolean
  /** What shells complete: all that it takes, or a few of many words; else empty. */
  readonly choices: readonly string[]
}

export interface Option<Value> extends OptionFacts {
  /** @param texts as given, in order; one empty text for each time that a flag is given */
  readonly parse: (texts: readonly string[]) => Value
}

export interface ArgumentFacts {
  /** `<image>`, `[name]`, `<command...>` or `[names...]`. */
  readonly spec: string
  readonly description: string
  /** What shells complete; null: files. */
  readonly suggests: readonly string[] | Listed | null
}

export interface Argument<Value> extends ArgumentFacts {
  readonly parse: (texts: readonly string[]) => Value
}

export interface VerbFacts {
  readonly summary: string
  readonly arguments: readonly ArgumentFacts[]
  readonly options: readonly OptionFacts[]
  /** Whole command lines. */
  readonly examples: readonly string[]
  /** What looks like an option behind the first argument belongs to the arguments. */
  readonly passThroughOptions: boolean
}

/** What is given to a verb, as text: a list for each of its arguments and each of its options, in their order. */
export interface Words {
  readonly arguments: readonly (readonly string[])[]
  readonly options: readonly (readonly string[])[]
}

export interface Verb {
  readonly facts: VerbFacts
  /** Of what it prints with `--json`, failures apart; null: nothing. */
  readonly json: Schema | null
  readonly run: (given: Words) => Promise<void>
}

/** A group of verbs, such as `volume`; the file `verbs/GROUP/group.ts` exports it as its default. */
export interface Group {
  /** One line, a verb first. */
  readonly summary: string
}

type Options = Readonly<Record<string, Option<unknown>>>
type ValueOf<Declared> = Declared extends { readonly parse: (texts: readonly string[]) => infer Value } ? Value : never
/** What `run` gets of a record of options, or of a tuple of arguments. */
export type ValuesOf<Declared> = { readonly [Key in keyof Declared]: ValueOf<Declared[Key]> }

export interface Declaration<Arguments extends readonly Argument<unknown>[], Declared extends Options> {
  /** One line, a verb first. */
  readonly summary: string
  readonly arguments: Arguments
  /** `--json`, which every verb has, is added. */
  readonly options: Declared
  /** What it prints with `--json`; null: nothing but failures. */
  readonly json: Schema | null
  readonly examples: readonly string[]
  /** Default: false. */
  readonly passThroughOptions?: boolean
  /**
   * What is asked on a terminal before anything is lost, without `--yes` and `--dry-run`; undefined if nothing can be lost. Verbs
   * that have it take `--yes`.
   */
  readonly asks?: (given: ValuesOf<Arguments>, options: ValuesOf<Declared>) => string | undefined
  readonly run: (given: ValuesOf<Arguments>, options: ValuesOf<Declared> & JsonValues) => Promise<void>
}

/**
 * Declares a verb; the file `verbs/NAME.ts`, or `verbs/GROUP/NAME.ts`, exports it as its default.
 * `run` gets the values of the arguments, in their order, and those of the options, under the names of `options`.
 */
export function verb<const Arguments extends readonly Argument<unknown>[], Declared extends Options>(
  declaration: Declaration<Arguments, Declared>,
): Verb {
  const { summary, examples, passThroughOptions = false, json } = declaration
  const options = Object.entries({ ...declaration.options, ...(declaration.asks && confirmation), ...common })
  return {
    facts: {
      summary,
      arguments: declaration.arguments.map(({ parse: _, ...facts }) => facts),
      options: options.map(([, { parse: _, ...facts }]) => facts),
      examples,
      passThroughOptions,
    },
    json,
    run: async (given) => {
      const values = declaration.arguments.map((one, index) => one.parse(given.arguments[index] ?? []))
      const named = options.map(([name, one], index) => [name, one.parse(given.options[index] ?? [])] as const)
      const chosen = Object.fromEntries(named) as ValuesOf<Declared> &
        ValuesOf<typeof common> & { readonly yes?: boolean; readonly dryRun?: boolean }
      await setLoudness(chosen)
      const question =
        chosen.yes || chosen.dryRun ? undefined : declaration.asks?.(values as ValuesOf<Arguments>, chosen)
      if (question !== undefined && isAttended()) await (await import('./confirm.js')).confirm(question)
      await declaration.run(values as ValuesOf<Arguments>, chosen)
    },
  }
}

/** Of every verb. */
const common = {
  quiet: flag('-q, --quiet', 'no notes and no progress on standard error, only errors'),
  verbose: flag(
    '-v, --verbose',
    'say on standard error which devices and mounts are made and removed, and which programs run',
  ),
  json: option('--json <mode>', 'print JSON: docs/json.md', choice('pretty', 'short', 'off'), 'off'),
}

const confirmation = { yes: flag('-y, --yes', 'do not ask, not even on a terminal') }

export type JsonValues = Pick<ValuesOf<typeof common>, 'json'>

/** Tells whether somebody sits there who can be asked. */
function isAttended(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}

async function setLoudness({ quiet, verbose }: ValuesOf<typeof common>): Promise<void> {
  if (quiet && verbose) throw new DdiError('ERR_DDI_USAGE', 'give only one of --quiet and --verbose')
  if (quiet) beQuiet()
  if (verbose) (await import('./loudness.js')).tellSteps()
}

type ArgumentValue<Spec extends string, Value> = Spec extends `<${string}...>`
  ? readonly [Value, ...Value[]]
  : Spec extends `[${string}...]`
    ? readonly Value[]
    : Spec extends `[${string}]`
      ? Value | undefined
      : Value

/** An argument of text. @param spec see {@link ArgumentFacts}: it says whether `run` gets one, one or none, or a list */
export function argument<Spec extends string>(spec: Spec, description: string): Argument<ArgumentValue<Spec, string>>
export function argument<Spec extends string, Value>(
  spec: Spec,
  description: string,
  parse: Parser<Value>,
): Argument<ArgumentValue<Spec, Value>>
export function argument<Spec extends string>(
  spec: Spec,
  description: string,
  parse: Parser<unknown> = (text) => text,
): Argument<ArgumentValue<Spec, unknown>> {
  const read = naming(spec.replace(/[<>[\].]/g, '').toUpperCase(), parse)
  const isList = spec.includes('...')
  return {
    spec,
    description,
    suggests: parse.choices ?? parse.suggests ?? null,
    parse: (texts) => {
      const values = texts.map(read)
      return (isList ? values : values[0]) as ArgumentValue<Spec, unknown>
    },
  }
}

/** An option without a value; `run` gets whether it is given. */
export function flag(flags: string, description: string): Option<boolean> {
  return { flags, description, required: false, choices: [], parse: (texts) => texts.length > 0 }
}

/** An option with a value, the last one given; `run` gets undefined if there is neither one nor a fallback. */
export function option<Value>(flags: string, description: string, parse: Parser<Value>): Option<Value | undefined>
/** @param fallback is parsed if the option is not given */
export function option<Value>(flags: string, description: string, parse: Parser<Value>, fallback: string): Option<Value>
export function option<Value>(
  flags: string,
  description: string,
  parse: Parser<Value>,
  fallback?: string,
): Option<Value | undefined> {
  const read = naming(longName(flags), parse)
  return {
    ...valueFacts(flags, description, parse, fallback),
    parse: (texts) => {
      const text = texts.at(-1) ?? fallback
      return text === undefined ? undefined : read(text)
    },
  }
}

/** An option that has to be given. */
export function requiredOption<Value>(flags: string, description: string, parse: Parser<Value>): Option<Value> {
  const read = naming(longName(flags), parse)
  return {
    ...valueFacts(flags, description, parse),
    required: true,
    parse: (texts) => {
      const text = texts.at(-1)
      if (text === undefined) throw new DdiError('ERR_DDI_USAGE', `${longName(flags)} is missing`)
      return read(text)
    },
  }
}

/** An option that may be given more than once; `run` gets all values in their order. */
export function repeatable<Value>(flags: string, description: string, parse: Parser<Value>): Option<readonly Value[]> {
  const read = naming(longName(flags), parse)
  const facts = valueFacts(flags, `${description}; may be repeated`, parse)
  return { ...facts, parse: (texts) => texts.map(read) }
}

/** `--size` of `-s, --size <size>`. */
export function longName(flags: string): string {
  return /--[a-z-]+/.exec(flags)?.[0] ?? flags
}

function valueFacts(flags: string, text: string, parse: Parser<unknown>, fallback?: string): OptionFacts {
  const choices = parse.choices ?? []
  const range = [
    ...(choices.length > 1 ? [`one of ${choices.join(', ')}`] : []),
    ...(fallback === undefined ? [] : [`default: ${fallback}`]),
  ]
  const description = range.length > 0 ? `${text} (${range.join('; ')})` : text
  const { suggests } = parse
  return { flags, description, required: false, choices: typeof suggests === 'object' ? suggests : choices }
}

/** Puts the name of what was given in front of what is wrong with it. */
function naming<Value>(name: string, parse: Parser<Value>): (text: string) => Value {
  return (text) => {
    try {
      return parse(text)
    } catch (error) {
      if (!(error instanceof DdiError)) throw error
      throw new DdiError(error.code, `${name}: ${error.message}`, { cause: error })
    }
  }
}
