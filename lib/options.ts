import { DdiError } from './errors.js'
import { throwIfAborted, type Work } from './work.js'

/**
 * The names of the options of a call, tied to their type: a name that is missing or that the type does not have is a
 * compile error. Calls whose options extend those of others spread their names.
 */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>

/**
 * Refuses options that a call does not have, so that a misspelt `rootHash` is not taken for none; and a signal that is aborted, before the
 * call has done anything.
 * @param call what the message names: `attach`
 * @throws ERR_DDI_USAGE, ERR_DDI_ABORTED
 */
export function checkOptions<Options extends object>(
  options: Options,
  known: OptionNames<Options>,
  call: string,
): void {
  if (typeof (options as unknown) !== 'object' || (options as unknown) === null)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `the options of ${call}() are ${String(options)}: pass an object, or leave them out`,
    )
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue
    const meant = nearest(name, Object.keys(known))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `unknown option ${JSON.stringify(name)} of ${call}()${meant ? `; did you mean ${meant}?` : ''}`,
    )
  }
  throwIfAborted((options as Work).signal)
}

/** Those of the options of a call that another call, which it makes, has too. */
export function pickOptions<Options extends object, Name extends keyof Options>(
  options: Options,
  known: Readonly<Record<Name, true>>,
): Pick<Options, Name> {
  return Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(known, name))) as Pick<
    Options,
    Name
  >
}

/** The name that differs from a given one in the fewest letters; undefined if all differ in more than a third of it. */
function nearest(given: string, names: readonly string[]): string | undefined {
  const distances = names.map((name) => ({ name, distance: editDistance(given.toLowerCase(), name.toLowerCase()) }))
  const [best] = distances.sort((a, b) => a.distance - b.distance)
  return best && best.distance * 3 <= given.length ? best.name : undefined
}

/** How many letters have to be inserted, removed or replaced to make one text of another (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1]
    for (const [column, other] of [...to].entries())
      next.push(Math.min(row[column]! + (letter === other ? 0 : 1), row[column + 1]! + 1, next[column]! + 1))
    row = next
  }
  return row.at(-1)!
}
