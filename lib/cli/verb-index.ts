import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../bindings/package-root.js'
import type { Verb, VerbFacts } from './verb.js'

/** A verb as the command line names it. */
export interface NamedVerb {
  /** One word, or two for a verb of a group: `volume create`. */
  readonly name: string
  readonly summary: string
}

export interface IndexedVerb extends NamedVerb, VerbFacts {}

/**
 * All verbs, as the build found them in `verbs/` (scripts/verb-index.mjs). From it come completion, the manual and the
 * reference page, without the code of any verb.
 */
export interface VerbIndex<Listed extends NamedVerb = IndexedVerb> {
  readonly version: string
  readonly verbs: readonly Listed[]
  /** The summaries of groups by their names. */
  readonly groups: Readonly<Record<string, string>>
}

/** The command line as it was bundled. */
const home = join(packageRoot, 'dist/cli')

export function readIndex(): VerbIndex {
  return JSON.parse(readFileSync(join(home, 'verbs.json'), 'utf8')) as VerbIndex
}

/** The index without the options of each verb, which is a tenth of it: what every run reads. */
export function readNames(): VerbIndex<NamedVerb> {
  return JSON.parse(readFileSync(join(home, 'names.json'), 'utf8')) as VerbIndex<NamedVerb>
}

/** Loads the code of one verb. */
export async function loadVerb(name: string): Promise<Verb> {
  const { default: verb } = (await import(pathToFileURL(join(home, `verbs/${name.replaceAll(' ', '/')}.js`)).href)) as {
    readonly default: Verb
  }
  return verb
}
