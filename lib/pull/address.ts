import { posix } from 'node:path'
import { DdiError } from '../errors.js'
import type { Credentials } from './netrc.js'

/** An address without the credentials that it contained. */
export interface Address {
  /** Without credentials: it may be shown. */
  readonly url: URL
  /** The name and password that it contained. */
  readonly credentials?: Credentials
}

/** @throws ERR_DDI_USAGE */
export function parseAddress(address: string | URL): Address {
  if (!URL.canParse(String(address)))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `${JSON.stringify(String(address))} is neither a URL nor a file: write http://…, https://… or file:///…`,
    )
  const url = new URL(address)
  const [login, password] = [url.username, url.password].map(decoded) as [string, string]
  Object.assign(url, { username: '', password: '' })
  return login === '' && password === '' ? { url } : { url, credentials: { login, password } }
}

/** The last component of an address. */
export function fileNameOf(url: URL): string {
  return decoded(posix.basename(url.pathname))
}

/** Malformed encodings are left as they are. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
