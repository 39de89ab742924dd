// A boot in a directory: what it says is collected, and what it reads and makes lies below.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { BootContext } from '../../lib/boot/context.js'
import { parseBootParameters } from '../../lib/boot/parameters.js'
import type { Progress } from '../../lib/index.js'

export interface TestBoot extends BootContext {
  /** What was said, a line each. */
  readonly said: readonly string[]
  /** Of what progress was told. */
  readonly parts: ReadonlySet<string | undefined>
  put(path: string, content: Uint8Array | string): void
}

/** @param commandLine as in /proc/cmdline */
export function bootIn(root: string, commandLine: string): TestBoot {
  const said: string[] = []
  const put = (path: string, content: Uint8Array | string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  put('proc/cmdline', `${commandLine}\n`)
  const parts = new Set<string | undefined>()
  const log = { say: (text: string) => void said.push(text), progress: ({ part }: Progress) => void parts.add(part) }
  return { root, parameters: parseBootParameters(commandLine), log, said, parts, put }
}
