import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Verb, VerbFacts } from './verb.js'

/** A verb as the command line names it. */
export interface IndexedVerb extends VerbFacts {
  /** One word, or two for a verb of a group: `volume create`. */
  readonly name: string
}

/**
 * All verbs, as the build found them in `verbs/` (scripts/command-line.mjs). From it come help, completion, the manual and
 * the reference page, without the code of any verb.
 */
export interface VerbIndex {
  readonly version: string
  readonly verbs: readonly IndexedVerb[]
  /** The summaries of groups by their names. */
  readonly groups: Readonly<Record<string, string>>
}

// In the bundle, this file is part of a chunk beside main.js, because more than one entry point imports it.
const here = new URL('./', import.meta.url)

export function readIndex(): VerbIndex {
  return JSON.parse(readFileSync(fileURLToPath(new URL('verbs.json', here)), 'utf8')) as VerbIndex
}

/** Loads the code of one verb. */
export async function loadVerb(name: string): Promise<Verb> {
  const { default: verb } = (await import(new URL(`verbs/${name.replaceAll(' ', '/')}.js`, here).href)) as {
    readonly default: Verb
  }
  return verb
}
