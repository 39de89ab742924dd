/**
 * Turns text from the command line into a value.
 * @throws a DdiError of kind `usage` whose message has the text; the option or argument is named in front of it
 */
export interface Parser<Value> {
  (text: string): Value
  /** All that it takes, if that is a short list. */
  readonly choices?: readonly string[]
}
