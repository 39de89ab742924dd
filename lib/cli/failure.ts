import { described, integer, nullable, object, type Schema, string } from './schema.js'

/** What a failure prints, of any verb. */
export const failure = object({
  error: object({
    code: described(nullable(string), 'ERR_DDI_…, docs/errors.md; null: a defect of this program'),
    message: string,
    hint: described(nullable(string), 'what to type next'),
    errno: nullable(integer),
    syscall: nullable(string),
    path: nullable(string),
    needed: described(nullable(integer), 'bytes, where space is missing'),
    free: described(nullable(integer), 'bytes that there are instead'),
    partition: described(nullable(integer), 'number of the partition that is wrong'),
    block: described(nullable(integer), 'number of the block that does not match'),
  }),
})

/** The schema of all that a verb prints with `--json`. @param prints null: nothing but failures */
export function schemaOf(verb: string, prints: Schema | null): Schema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `ddi-attach ${verb} --json`,
    anyOf: [...(prints ? [prints] : []), failure],
  }
}
