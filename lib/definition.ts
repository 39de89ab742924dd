// The files that systemd's tools read, repart.d(5), sysupdate.d(5): sections with assignments in them.
import type { DdiError } from './errors.js'

/** Makes the error of an option. */
export type Refuse = (what: string) => DdiError

export interface Assignment {
  readonly section: string
  readonly name: string
  readonly value: string
  /** Counted from 1; for lines that were continued, the last one's. */
  readonly line: number
}

/**
 * The assignments in a definition, in their order.
 * @param sections that it may have
 * @param refuse makes the error of a line, for what is not understood
 */
export function* assignments(
  text: string,
  sections: readonly string[],
  refuse: (line: number) => Refuse,
): Generator<Assignment> {
  const known = sections.map((section) => `[${section}]`).join(', ')
  let section: string | undefined
  for (const { text: whole, line } of logicalLines(text)) {
    const header = /^\s*\[(.*)\]\s*$/.exec(whole)
    if (header) {
      section = header[1]!
      if (!isForOthers(section) && !sections.includes(section))
        throw refuse(line)(`unknown section [${section}]: only ${known} is supported`)
      continue
    }
    if (section !== undefined && isForOthers(section)) continue
    const [, name, value] = /^((?:X-)?[A-Za-z0-9]+)\s*=(.*)$/.exec(whole.trim()) ?? []
    if (name === undefined || value === undefined)
      throw refuse(line)(`${JSON.stringify(whole.slice(0, 100))} is not NAME=VALUE`)
    if (section === undefined) throw refuse(line)(`${name}= comes before ${known}`)
    if (!isForOthers(name)) yield { section, name, value: value.trim(), line }
  }
}

/** Sections and options that systemd leaves to other programs: systemd.syntax(7). */
function isForOthers(name: string): boolean {
  return name.startsWith('X-')
}

interface Line {
  readonly text: string
  readonly line: number
}

/** Lines without comments, continued ones joined. */
function* logicalLines(text: string): Generator<Line> {
  // Joined at their end: a line may be continued as often as there are lines.
  let pending: string[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    if (pending.length === 0 && /^\s*$/.test(raw)) continue
    // As systemd does, also within a continued line.
    if (/^\s*[#;]/.test(raw)) continue
    const isContinued = raw.endsWith('\\')
    pending.push(isContinued ? `${raw.slice(0, -1)} ` : raw)
    if (isContinued) continue
    yield { text: pending.join(''), line: index + 1 }
    pending = []
  }
}

export function booleanOf(value: string, refuse: Refuse): boolean {
  if (/^(1|yes|y|true|t|on)$/i.test(value)) return true
  if (/^(0|no|n|false|f|off)$/i.test(value)) return false
  throw refuse(`${JSON.stringify(value)} is not a boolean: write yes or no`)
}

export function wordsIn(text: string): string[] {
  const word = /(?:"[^"]*"|'[^']*'|[^\s"'])+/g
  // With a quote that is not closed, they are no words that anybody meant: what reads them says what is wrong.
  if (text.replace(word, '').trim() !== '') return text.split(/\s+/).filter((one) => one !== '')
  return (text.match(word) ?? []).map((one) => one.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'))
}

/** What specifiers stand for. */
export interface Specifiers {
  /** Fields of the os-release file of the tree that is copied from, or of the machine. */
  readonly osRelease: ReadonlyMap<string, string>
  /** As systemd names processors: `x86-64`. */
  readonly architecture: string
  /** Default: none is known. */
  readonly machine?: MachineFacts
}

/** What specifiers say of this machine, and of the tree that is copied from. */
export interface MachineFacts {
  readonly bootId: string
  readonly hostName: string
  /** Release of the kernel. */
  readonly kernel: string
  /** Of the tree; undefined: it has none. */
  readonly machineId: string | undefined
}

const osReleaseSpecifiers: Readonly<Record<string, string>> = {
  A: 'IMAGE_VERSION',
  B: 'BUILD_ID',
  M: 'IMAGE_ID',
  o: 'ID',
  w: 'VERSION_ID',
  W: 'VARIANT_ID',
}

const machineSpecifiers: Readonly<Record<string, (machine: MachineFacts) => string | undefined>> = {
  b: ({ bootId }) => bootId,
  H: ({ hostName }) => hostName,
  l: ({ hostName }) => hostName.split('.')[0],
  m: ({ machineId }) => machineId,
  v: ({ kernel }) => kernel,
}

/**
 * Replaces specifiers: those of os-release, the machine, the processor, `%T`, `%V` and `%%`.
 * @param own further ones, by their letters
 */
export function expandSpecifiers(
  text: string,
  { osRelease, architecture, machine }: Specifiers,
  refuse: Refuse,
  own: Readonly<Record<string, string>> = {},
): string {
  const known: Readonly<Record<string, string>> = { '%': '%', a: architecture, T: '/tmp', V: '/var/tmp', ...own }
  return text.replace(/%(.?)/gs, (written, letter: string) => {
    if (Object.hasOwn(known, letter)) return known[letter]!
    const field = osReleaseSpecifiers[letter]
    if (field !== undefined) return osRelease.get(field) ?? ''
    const fact = machine && machineSpecifiers[letter]?.(machine)
    if (fact !== undefined) return fact
    if (machine && letter === 'm') throw refuse('the tree has no etc/machine-id for %m')
    throw refuse(`the specifier ${written} is not supported`)
  })
}
