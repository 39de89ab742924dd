import { DdiError, type ErrorKind } from '../errors.js'

/** Exit statuses, as the manual lists them: scripts rely on them. */
export const exitStatus = {
  done: 0,
  system: 1,
  usage: 2,
  image: 3,
  permission: 4,
} as const satisfies Record<ErrorKind | 'done', number>

/** That of a verb that looked for something new, and found nothing: no error. */
export const nothingNew = 10

export function statusOf(error: unknown): number {
  return error instanceof DdiError ? exitStatus[error.kind] : exitStatus.system
}
