import { DdiError } from '../errors.js'

// Match patterns of sysupdate.d(5): names of files with wildcards in them.

/** What each wildcard stands for. */
const wildcards: Readonly<Record<string, string>> = {
  v: '[A-Za-z0-9.^~+-]+',
  u: '[0-9A-Fa-f-]{32,36}',
  f: '(?:0x)?[0-9A-Fa-f]{1,16}',
  a: '[01]',
  g: '[01]',
  r: '[01]',
  t: '[0-9]{1,20}',
  m: '[0-7]{1,5}',
  s: '[0-9]{1,20}',
  d: '[0-9]{1,10}',
  l: '[0-9]{1,10}',
  h: '[0-9A-Fa-f]{64}',
}

/** The longest name that a file has. */
const longestName = 255

/** A match pattern of sysupdate.d(5). */
export interface MatchPattern {
  /** As it was written. */
  readonly text: string
  /** The version in a name that matches; undefined if it does not. */
  readonly versionIn: (name: string) => string | undefined
}

/**
 * @param text such as `acme_@v.raw.xz`
 * @throws ERR_DDI_DEFINITION unless it has `@v` once, and each other wildcard at most once
 */
export function parsePattern(text: string): MatchPattern {
  const shown = JSON.stringify(text.slice(0, longestName))
  const refuse = (what: string) => new DdiError('ERR_DDI_DEFINITION', `match pattern ${shown}: ${what}`)
  if (text.length > longestName) throw refuse(`it has ${text.length} characters, and a name has at most ${longestName}`)
  const seen = new Set<string>()
  const source = text
    .split(/(@.?)/s)
    .map((part) => {
      if (!part.startsWith('@')) return part.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
      const letter = part.slice(1)
      const wildcard = Object.hasOwn(wildcards, letter) ? wildcards[letter] : undefined
      if (wildcard === undefined) throw refuse(`there is no wildcard ${JSON.stringify(part)}`)
      if (seen.has(letter)) throw refuse(`@${letter} stands in it more than once`)
      seen.add(letter)
      return `(${letter === 'v' ? '?<version>' : '?:'}${wildcard})`
    })
    .join('')
  if (!seen.has('v')) throw refuse('@v, the version, is missing')
  if (text.includes('/')) throw refuse('names with directories in them are not supported')
  const expression = new RegExp(`^${source}$`)
  const versionIn = (name: string) =>
    name.length <= longestName ? expression.exec(name)?.groups?.['version'] : undefined
  return { text, versionIn }
}

/** The product that a pattern `PRODUCT_@v…` names; undefined if it is not of that form. */
export function productIn({ text }: MatchPattern): string | undefined {
  return /^([^@]+)_@v/.exec(text)?.[1]
}
