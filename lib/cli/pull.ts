import { readFile } from 'node:fs/promises'
import { DdiError } from '../errors.js'
import type { VerifyMode } from '../pull/checksums.js'
import { type ImageClass, imageName, imagePath } from '../pull/names.js'
import { pullRaw } from '../pull/pull.js'
import { parseSize } from '../size.js'
import { untilInterrupted } from './interrupt.js'
import type { JsonOption } from './options.js'
import { formatSize, print, printable, printJson } from './output.js'
import { pullProgress } from './progress.js'

export interface PullVerbOptions extends JsonOption {
  readonly output?: string
  readonly class: ImageClass
  readonly verify: string
  readonly keyring?: string
  readonly rootHash?: string
  readonly maxSize?: string
  readonly rateLimit?: string
  readonly header?: readonly string[]
  readonly ca?: string
  readonly readOnly?: boolean
  readonly force?: boolean
  readonly progress?: 'json'
}

export async function runPull(address: string, name: string | undefined, options: PullVerbOptions): Promise<void> {
  if (!URL.canParse(address))
    throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(address)} is no URL: write http://…, https://… or file:///…`)
  if (options.output !== undefined && name !== undefined)
    throw new DdiError('ERR_DDI_USAGE', 'either a name, or --output')
  const path = options.output ?? imagePath(options.class, imageName(new URL(address), name))
  const { keyring, rootHash, maxSize, rateLimit, ca } = options
  const progress = await pullProgress(options.progress === 'json')
  const pulled = await pullRaw(address, path, {
    verify: parseVerify(options.verify),
    headers: parseHeaders(options.header ?? []),
    readOnly: options.readOnly ?? false,
    replace: options.force ?? false,
    onProgress: progress.update,
    signal: untilInterrupted(),
    ...(keyring !== undefined && { keyring }),
    ...(rootHash !== undefined && { rootHash }),
    ...(maxSize !== undefined && { maxSize: parseSize(maxSize) }),
    ...(rateLimit !== undefined && { rateLimit: parseSize(rateLimit) }),
    ...(ca !== undefined && { authorities: await readText(ca) }),
  }).finally(() => progress.stop())
  if (options.json !== 'off') printJson({ url: address, ...pulled }, options.json)
  else {
    const more = pulled.resumed > 0 ? `, ${formatSize(pulled.resumed)} of it from before` : ''
    print(
      `${printable(pulled.path)}: ${formatSize(pulled.size)}, ${formatSize(pulled.downloaded + pulled.resumed)} downloaded${more}, SHA-256 ${pulled.sha256}`,
    )
  }
}

function parseVerify(text: string): VerifyMode {
  if (text === 'no' || text === 'checksum' || text === 'signature') return text
  if (/^[0-9a-f]{64}$/i.test(text)) return { sha256: text.toLowerCase() }
  throw new DdiError(
    'ERR_DDI_USAGE',
    `--verify=${text}: no, checksum, signature, or a SHA-256 of 64 hexadecimal digits`,
  )
}

function parseHeaders(lines: readonly string[]): Record<string, string> {
  const parsed = lines.map((line) => {
    const [, name, value] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):\s*([^\r\n]*)$/.exec(line) ?? []
    if (name === undefined || value === undefined)
      throw new DdiError('ERR_DDI_USAGE', `--header=${JSON.stringify(line)}: write it as NAME: VALUE`)
    return [name, value] as const
  })
  return Object.fromEntries(parsed)
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((error: unknown) => {
    throw new DdiError('ERR_DDI_NOT_FOUND', `cannot read ${path}: ${(error as Error).message}`, { cause: error })
  })
}
