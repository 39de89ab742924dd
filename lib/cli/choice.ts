import { DdiError } from '../errors.js'
import type { Parser } from './parser.js'

/** One of a few words. */
export function choice<const Word extends string>(...choices: readonly Word[]): Parser<Word> {
  const parse = (given: string): Word => {
    const found = choices.find((one) => one === given)
    if (found === undefined)
      throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(given)} is not one of ${choices.join(', ')}`)
    return found
  }
  return Object.assign(parse, { choices })
}
