import type { Readable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'

export interface ConsoleLine {
  /** Seconds since the machine was switched on. */
  readonly at: number
  readonly text: string
}

export interface Console {
  readonly lines: readonly ConsoleLine[]
  readonly text: string
  /** The first line that matches, if it comes or has come, a prompt without an end too; rejects if the console ends before. */
  line(pattern: RegExp): Promise<ConsoleLine>
  /** Calls `listener` with each line that is still to come. */
  onLine(listener: (line: ConsoleLine) => void): void
}

/** Reads what a machine says, line by line, without the control characters that firmware draws with. */
export function readConsole(stream: Readable): Console {
  const start = performance.now()
  const lines: ConsoleLine[] = []
  const listeners = new Set<(line: ConsoleLine) => void>()
  const waiting = new Set<{ pattern: RegExp; found: (line: ConsoleLine) => void; missed: (error: Error) => void }>()
  let rest = ''
  let ended = false
  const text = () => lines.map((line) => line.text).join('\n')
  const lineOf = (raw: string): ConsoleLine => ({
    at: (performance.now() - start) / 1000,
    text: stripVTControlCharacters(raw.replaceAll('\r', '')),
  })
  const look = (line: ConsoleLine) => {
    for (const one of waiting) {
      if (!one.pattern.test(line.text)) continue
      waiting.delete(one)
      one.found(line)
    }
  }
  const take = (raw: string) => {
    const line = lineOf(raw)
    lines.push(line)
    for (const listener of listeners) listener(line)
    look(line)
  }
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop()!
    for (const part of parts) take(part)
    look(lineOf(rest))
  })
  stream.once('close', () => {
    if (rest !== '') take(rest)
    ended = true
    for (const { pattern, missed } of waiting) missed(new Error(`the console ended without ${pattern}:\n${text()}`))
  })
  return {
    lines,
    get text() {
      return text()
    },
    line: (pattern) =>
      new Promise((found, missed) => {
        const line = lines.find((one) => pattern.test(one.text))
        if (line) found(line)
        else if (ended) missed(new Error(`the console ended without ${pattern}:\n${text()}`))
        else waiting.add({ pattern, found, missed })
      }),
    onLine: (listener) => void listeners.add(listener),
  }
}
