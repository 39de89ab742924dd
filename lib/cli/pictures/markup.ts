import { printable } from '../../text.js'

/** HTML or SVG that is safe as it is: nothing but {@link markup} makes it. */
export class Markup {
  readonly #text: string
  constructor(parts: readonly string[], values: readonly (Value | readonly Value[])[]) {
    this.#text = parts.reduce((text, part, n) => text + textOf(values[n - 1] ?? '') + part)
  }
  toString(): string {
    return this.#text
  }
}

type Value = Markup | string | number

/** A template of HTML or SVG: whatever is put into it, in text or in a quoted attribute, is escaped, unless it is markup itself. */
export function markup(parts: TemplateStringsArray, ...values: readonly (Value | readonly Value[])[]): Markup {
  return new Markup(parts, values)
}

function textOf(value: Value | readonly Value[]): string {
  if (value instanceof Markup) return value.toString()
  if (Array.isArray(value)) return value.map(textOf).join('')
  // What acts on a terminal turns text round in a browser too, and XML has no way to write most of it.
  return printable(String(value)).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
