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

/** What is requested of a server, as HTTP names it. */
export function pathOf({ pathname, search }: URL): string {
  return `${pathname}${search}`
}

/** RFC 7617 */
export function basicAuthorization(name: string, secret: string): string {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
}

/** A limit for one step after the other. */
export interface Deadline {
  /** Ends the step before. @param longest that the next one may take, in ms; 0: as long as it wants */
  next(what: string, longest: number): void
  clear(): void
}

/** @param late gets the error of a step that takes too long */
export function deadline(late: (error: Error) => void): Deadline {
  let timer: NodeJS.Timeout | undefined
  const clear = () => clearTimeout(timer)
  return {
    next(what, longest) {
      clear()
      timer = longest > 0 ? setTimeout(() => late(new Error(`no ${what} in time`)), longest) : undefined
    },
    clear,
  }
}
