/** A JSON Schema, draft 2020-12, of what a verb prints with `--json`: the build writes it to `dist/schemas/VERB.json`. */
export type Schema = Readonly<Record<string, unknown>>

export const string: Schema = { type: 'string' }
export const boolean: Schema = { type: 'boolean' }
export const integer: Schema = { type: 'integer' }
export const number: Schema = { type: 'number' }

/** All properties are there, and no others: what is unknown is null. */
export function object(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

/** An object with any names. */
export function record(values: Schema): Schema {
  return { type: 'object', additionalProperties: values }
}

export function array(items: Schema): Schema {
  return { type: 'array', items }
}

export function word(...words: readonly string[]): Schema {
  return { enum: words }
}

export function either(...schemas: readonly Schema[]): Schema {
  return { anyOf: schemas }
}

export function nullable(schema: Schema): Schema {
  return either(schema, { type: 'null' })
}

/** @param description for whoever reads the schema */
export function described(schema: Schema, description: string): Schema {
  return { ...schema, description }
}
