import { DdiError } from '../errors.js'
import { checksumRows } from '../pull/checksum-list.js'
import { readChecksumList } from '../pull/checksums.js'
import type { PullOptions } from '../pull/options.js'
import { isCredentialName } from './credentials.js'
import { type FetchOptions, openServer, waiting } from './fetch.js'
import { longestWait, optional } from './optional.js'
import { besideOrigin } from './origin.js'

/** A file in `NAME.efi.extra.d` beside a kernel: systemd-stub(7). */
export interface Companion {
  readonly use: 'credential' | 'sysext' | 'confext'
  /** Without its ending. */
  readonly name: string
  readonly file: string
  readonly sha256: string
  /** Its row says which kernel it is for: `NAME.efi.extra.d/FILE`. */
  readonly isOfKernel: boolean
}

/** What lies beside a kernel. */
export interface Companions {
  readonly list: URL
  /** A key of the initrd signed the list. */
  readonly signed: boolean
  readonly files: readonly Companion[]
}

const mostCompanions = 64

/**
 * The companions in a list of checksums.
 * @param text as sha256sum writes it; other files in it are none of ours
 * @param directory `NAME.efi.extra.d`
 */
export function companionsIn(text: string, directory: string): readonly Companion[] {
  return checksumRows(text).flatMap(({ name: path, hash: sha256 }): readonly Companion[] => {
    const row = path.replace(/^\.\//, '')
    const isOfKernel = row.startsWith(`${directory}/`)
    const file = isOfKernel ? row.slice(directory.length + 1) : row
    const [, credential] = /^([^/]+)\.cred$/.exec(file) ?? []
    if (credential !== undefined && isCredentialName(credential))
      return [{ use: 'credential', name: credential, file, sha256, isOfKernel }]
    const [, name, use] = /^([A-Za-z0-9_][A-Za-z0-9_.+-]{0,63})\.(sysext|confext)\.raw$/.exec(file) ?? []
    return name === undefined ? [] : [{ use: use as 'sysext' | 'confext', name, file, sha256, isOfKernel }]
  })
}

/**
 * Finds what lies in the directory of companions beside a kernel.
 * @param origin the URL of the kernel
 * @param seconds that it may take
 * @returns undefined if there is none, or the server does not say so in time, which is told
 * @throws ERR_DDI_ABORTED
 */
export async function listCompanions(
  origin: string,
  options: FetchOptions,
  seconds = longestWait,
): Promise<Companions | undefined> {
  const kernel = new URL(origin).pathname.split('/').at(-1)!
  if (kernel === '') return undefined
  const list = besideOrigin(origin, `${kernel}.extra.d/SHA256SUMS`)[0]!
  const read = (bounded: FetchOptions) =>
    waiting('companions', bounded, (pulling) => readList(list, pulling, options.onNote))
  const found = await optional('companions', options, read, AbortSignal.timeout(seconds * 1000))
  if (found.state === 'left-out') return undefined
  const { text, signed } = found.result
  const files = companionsIn(text, `${decoded(kernel)}.extra.d`)
  if (files.length > mostCompanions)
    options.onNote?.(`companions: ${list} has ${files.length}; those after the first ${mostCompanions} are left out`)
  return { list, signed, files: files.slice(0, mostCompanions) }
}

/** As people write a name that stands in a URL. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** The list of companions, empty if there is none, and whether a key of the initrd signed it. */
async function readList(
  list: URL,
  options: PullOptions,
  onNote: FetchOptions['onNote'],
): Promise<{ readonly text: string; readonly signed: boolean }> {
  await using server = await openServer(list, options)
  const read = async (mode: 'signature' | 'checksum') =>
    (await readChecksumList(server.transport, server.url, mode, options.keyring)) ?? ''
  try {
    return { text: await read('signature'), signed: true }
  } catch (error) {
    if (!(error instanceof DdiError) || !isOfSignature(error)) throw error
    onNote?.(`companions: ${error.message} (${error.code})`)
    return { text: await read('checksum'), signed: false }
  }
}

/** Extensions that a certificate of the initrd signed need no signed list. */
function isOfSignature({ code }: DdiError): boolean {
  return ['ERR_DDI_PULL_SIGNATURE', 'ERR_DDI_PULL_KEYRING'].includes(code)
}
