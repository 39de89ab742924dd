/**
 * Turns text from the command line into a value.
 * @throws a DdiError of kind `usage` whose message has the text; the option or argument is named in front of it
 */
export interface Parser<Value> {
  (text: string): Value
  /** All that it takes, if that is a short list. */
  readonly choices?: readonly string[]
  /** What shells complete besides: a few of many words, or what `ddi-attach` lists. */
  readonly suggests?: readonly string[] | Listed
}

/** Attachments; or what the disk has that the argument before names. */
export type Listed = 'attachments' | 'volumes' | 'images'

/** Text as it is. */
export function suggesting(suggests: readonly string[] | Listed): Parser<string> {
  return Object.assign((given: string) => given, { suggests })
}
