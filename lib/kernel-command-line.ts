/**
 * The values of a parameter of the kernel command line, in order. Double quotes protect spaces and are not part of a value:
 * kernel/params.c, next_arg().
 * @param text as in /proc/cmdline
 */
export function parameterValues(text: string, name: string): string[] {
  return wordsOf(text).flatMap((word) => (word.startsWith(`${name}=`) ? [word.slice(name.length + 1)] : []))
}

/** The value that counts of a parameter that is given more than once: the last. */
export function parameterValue(text: string, name: string): string | undefined {
  return parameterValues(text, name).at(-1)
}

/**
 * Whether a switch is on: `NAME`, or `NAME=` with what {@link booleans} take for true. The last one counts; a value that is neither
 * true nor false counts as false.
 */
export function isSet(text: string, name: string): boolean {
  const last = wordsOf(text).findLast((word) => word === name || word.startsWith(`${name}=`))
  return last === name || (last !== undefined && booleans.get(last.slice(name.length + 1)) === true)
}

/** The values of systemd’s parse_boolean(). */
export const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 'yes', 'y', 'true', 't', 'on'].map((word) => [word, true] as const),
  ...['0', 'no', 'n', 'false', 'f', 'off'].map((word) => [word, false] as const),
])

/** Without the quotes, which protect spaces. */
export function wordsOf(text: string): string[] {
  const words = text.match(/(?:"[^"]*"?|[^\s"])+/g) ?? []
  return words.map((word) => word.replaceAll('"', ''))
}
