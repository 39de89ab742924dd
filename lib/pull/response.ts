import type { Readable } from 'node:stream'
import type { HeaderFields } from './answer.js'
import type { Settings } from './options.js'

/** A request without a body. */
export interface Outgoing {
  readonly url: URL
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** To the server of the address that was given: it gets the client certificate. */
  readonly isOwn: boolean
}

/** For how long an answer is waited for. */
export interface Limits {
  readonly timeouts: Settings['timeouts']
  /** Ends everything. */
  readonly signal: AbortSignal
}

/** The head of an answer, and its body to be read. */
export type Response = Readable & { readonly statusCode: number; readonly headers: HeaderFields }
