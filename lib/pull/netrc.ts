/** What a client identifies itself to a server with. */
export interface Credentials {
  readonly login: string
  readonly password: string
}

/**
 * The entry of a machine in a netrc(5) file, or else its `default`.
 * @param text of the file; macros are skipped
 */
export function credentialsIn(text: string, machine: string): Credentials | undefined {
  const lines = text.replace(/^[ \t]*#.*$/gm, '').replace(/\bmacdef\s[\s\S]*?(\n\n|$)/g, '\n')
  const words = lines.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? []
  const plain = (word: string) => (word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, '$1') : word)
  let matches = false
  let found: { login?: string; password?: string } = {}
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    if (word === 'machine' || word === 'default') {
      if (matches) break
      matches = word === 'default' || plain(words[++at] ?? '') === machine
    } else if (['login', 'password', 'account'].includes(word)) {
      const value = plain(words[++at] ?? '')
      if (matches && word !== 'account') found = { ...found, [word]: value }
    }
  }
  const { login, password } = found
  return login === undefined || password === undefined ? undefined : { login, password }
}
