import type { Progress } from '../work.js'
import { formatSize } from './output.js'

/** Shows progress while its owner works. */
export interface ProgressBar {
  readonly update: (progress: Progress) => void
  stop(): void
}

/** A bar on stderr; nothing if that is not a terminal. */
export async function progressBar(title: string): Promise<ProgressBar> {
  if (!process.stderr.isTTY) return { update() {}, stop() {} }
  const { default: progress } = await import('cli-progress')
  const bar = new progress.SingleBar({
    format: `${title} [{bar}] {percentage}%  {rate}{eta_formatted} left`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    stream: process.stderr,
  })
  let started: { readonly at: number; readonly done: number } | undefined
  return {
    update({ done, total }) {
      if (!started) bar.start(total ?? 0, done, { rate: '' })
      started ??= { at: performance.now(), done }
      const seconds = (performance.now() - started.at) / 1000
      bar.update(done, { rate: seconds > 1 ? `${formatSize(Math.round((done - started.done) / seconds))}/s  ` : '' })
    },
    stop() {
      if (started) bar.stop()
    },
  }
}

/** Progress of a download, whose end the server may not tell. */
export interface DownloadProgress {
  update(done: number, total: number | null): void
  stop(): void
}

const secondsBetweenLines = 5
const secondsBetweenEvents = 0.2

/** A bar where stderr is a terminal, else a line every few seconds; with `json` a JSON object a line. */
export async function pullProgress(json: boolean): Promise<DownloadProgress> {
  const bar = json || !process.stderr.isTTY ? undefined : await progressBar('downloading')
  const began = performance.now()
  let told = json ? 0 : began
  let first: number | undefined
  return {
    update(done, total) {
      first ??= done
      if (bar && total !== null) {
        bar.update({ done, total })
        return
      }
      const now = performance.now()
      if (now - told < (json ? secondsBetweenEvents : secondsBetweenLines) * 1000) return
      told = now
      const rate = Math.round((done - first) / ((now - began) / 1000 || 1))
      const line = json
        ? JSON.stringify({ event: 'progress', done, total, rate })
        : `ddi-attach: ${formatSize(done)}${total === null ? '' : ` of ${formatSize(total)}`}, ${formatSize(rate)} a second`
      process.stderr.write(`${line}\n`)
    },
    stop: () => bar?.stop(),
  }
}
