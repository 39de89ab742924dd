/**
 * Escapes text for a terminal: control characters, characters that change the direction of writing, and lone
 * surrogates cannot act on it.
 * @param text of any origin, such as a label in an image
 * @returns the text with each of them written as `\u{1b}`
 */
export function printable(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

/**
 * JSON in which nothing can act on a terminal: the same characters, escaped as JSON does it. JSON's own line ends stay.
 * @param indent of nested values, in spaces; none: all on one line
 */
export function printableJson(value: unknown, indent?: number): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value, null, indent).replace(/(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    character.split('').map(escaped).join(''),
  )
}

/**
 * The characters of every name that ddi gives: of attachments, nodes and split files. They need no escaping in device
 * names, device-mapper UUIDs, loop references (which separate names by colons), file names and shells. For use in a regular
 * expression.
 */
export const plainCharacters = '[A-Za-z0-9._+@=-]'

/** @returns true if all of `text` is plain and it starts with a letter or a digit, unlike an option or a hidden file */
export function isPlainName(text: string): boolean {
  return plainName.test(text)
}

const plainName = new RegExp(`^[A-Za-z0-9]${plainCharacters}*$`)

/** @returns `text` as a plain name: other characters become `_`, and it starts with its first letter or digit; may be empty */
export function toPlainName(text: string): string {
  return text.replace(/[^A-Za-z0-9._+@=-]/g, '_').replace(/^[^A-Za-z0-9]+/, '')
}
