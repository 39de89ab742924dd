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
  /** The first line that matches, if it comes or has come; rejects if the console ends before. */
  line(pattern: RegExp): Promise<ConsoleLine>
}

/** Reads what a machine says, line by line, without the control characters that firmware draws with. */
export function readConsole(stream: Readable): Console {
  const start = performance.now()
  const lines: ConsoleLine[] = []
  const waiting = new Set<{ pattern: RegExp; found: (line: ConsoleLine) => void; missed: (error: Error) => void }>()
  let rest = ''
  let ended = false
  const text = () => lines.map((line) => line.text).join('\n')
  const take = (raw: string) => {
    const line = { at: (performance.now() - start) / 1000, text: stripVTControlCharacters(raw.replaceAll('\r', '')) }
    lines.push(line)
    for (const one of waiting) {
      if (!one.pattern.test(line.text)) continue
      waiting.delete(one)
      one.found(line)
    }
  }
  stream.setEncoding('latin1')
  stream.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop()!
    for (const part of parts) take(part)
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
  }
}
