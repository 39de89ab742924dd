/** A signal that aborts on SIGINT or SIGTERM, so that what was begun is undone before the process ends. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort(new Error(name)))
  return controller.signal
}
