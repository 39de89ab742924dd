import { DdiError } from './errors.js'

/** How far a long call has come. */
export interface Progress {
  /** In bytes. */
  readonly done: number
  /** In bytes; null while the end is not known. */
  readonly total: number | null
  /** Which part of the work this is about, where it has parts: a designator, a file name. */
  readonly part?: string
}

/** Options of every call that can take long. */
export interface Work {
  /** Aborts the call, which then throws ERR_DDI_ABORTED; whatever it made is undone. */
  readonly signal?: AbortSignal | undefined
  /** Called as the work proceeds, often: it must be quick. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
}
export const workNames = { signal: true, onProgress: true } as const satisfies Readonly<Record<keyof Work, true>>

/** Work on a part of something: its progress is reported under the name of the part. */
export function workOn(part: string, { signal, onProgress }: Work): Work {
  return { signal, onProgress: onProgress && ((progress) => onProgress({ ...progress, part })) }
}

/** @throws ERR_DDI_ABORTED if the signal is aborted */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal)
}

/** The error of an aborted call. */
export function aborted(signal: AbortSignal): DdiError {
  return new DdiError('ERR_DDI_ABORTED', 'aborted', { cause: signal.reason })
}
