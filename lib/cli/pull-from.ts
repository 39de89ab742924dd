import type { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { exists } from '../bytes/exists.js'
import { DdiError } from '../errors.js'
import { parseAddress } from '../pull/address.js'
import type { SideFile } from '../pull/names.js'
import type { PullOptions } from '../pull/options.js'
import { type Pulled, type PullTarget, pull } from '../pull/pull.js'
import { pullWithSideFiles } from '../pull/side-files.js'

/** Where an image comes from. */
export interface From {
  /** Names it; of standard input, nothing. */
  readonly url: URL
  readonly address: string | URL
  readonly stream?: Readable
  /** It was given by whoever may name files of this machine. */
  readonly isHere: boolean
}

export async function sourceOf(address: string): Promise<From> {
  if (address === '-') {
    const url = new URL('stream:/')
    return { url, address: url, stream: process.stdin, isHere: true }
  }
  if (/^\.{0,2}\//.test(address) || (!URL.canParse(address) && (await exists(address)))) {
    const url = pathToFileURL(address)
    return { url, address: url, isHere: true }
  }
  return { ...parseAddress(address), address, isHere: false }
}

export async function pullFrom(
  { address, stream }: From,
  target: PullTarget,
  beside: readonly SideFile[],
  work: PullOptions,
): Promise<Pulled> {
  if (beside.length === 0) return await pull(stream ?? address, target, work)
  if (stream || target.kind !== 'raw' || typeof work.verify === 'object')
    throw new DdiError(
      'ERR_DDI_USAGE',
      '--with is for an image that becomes a file, of a server or a path, and not with the SHA-256 of the image alone',
    )
  return await pullWithSideFiles(address, target, beside, work)
}
