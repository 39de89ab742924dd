import { DdiError, type ErrorCode, type ErrorKind } from '../errors.js'

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

/** Those of shells, env(1) and chroot(1), for a command that could not be run. */
const commandStatus: Readonly<Partial<Record<ErrorCode, number>>> = {
  ERR_DDI_COMMAND_NOT_EXECUTABLE: 126,
  ERR_DDI_COMMAND_NOT_FOUND: 127,
}

export function statusOf(error: unknown): number {
  if (!(error instanceof DdiError)) return exitStatus.system
  return commandStatus[error.code] ?? exitStatus[error.kind]
}
