import { printable } from '../text.js'
import type { Progress } from '../work.js'
import { formatSize, isQuiet } from './output.js'

/** Shows how far long work has come; does nothing if stderr is not a terminal. */
export interface ProgressDisplay {
  readonly update: (progress: Progress) => void
  readonly stop: () => void
}

/** In characters; `besides` is what stands beside the bar and its title at the most, as a rule. */
const [shortestBar, longestBar, besides] = [10, 40, 55]

/** How fast it goes and how long it takes yet; nothing while that would be a guess. */
function rateOf(seconds: number, done: number, left: number): string {
  if (seconds < 1 || done <= 0) return ''
  const rest = Math.ceil((left * seconds) / done)
  const minutes = Math.floor(rest / 60)
  return `${formatSize(Math.round(done / seconds))}/s  ${minutes > 0 ? `${minutes}m ` : ''}${rest % 60}s left`
}

/** A bar. Work whose end is not known is not shown. */
export async function progressBar(title: string): Promise<ProgressDisplay> {
  if (!process.stderr.isTTY || isQuiet()) return { update() {}, stop() {} }
  const { default: progress } = await import('cli-progress')
  const bar = new progress.SingleBar({
    format: `${title}{part} [{bar}] {percentage}%  {bytes}  {rate}`,
    barsize: Math.max(shortestBar, Math.min(longestBar, (process.stderr.columns ?? 80) - title.length - besides)),
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    stream: process.stderr,
  })
  /** Of the part of the work that is shown. */
  let started:
    | { readonly at: number; readonly done: number; readonly total: number; readonly part: string | undefined }
    | undefined
  return {
    update({ done, total, part }) {
      if (total === null) return
      const bytes = `${formatSize(done)} of ${formatSize(total)}`
      if (started?.part !== part || started?.total !== total) {
        if (started) bar.stop()
        started = { at: performance.now(), done, part, total }
        bar.start(total, done, { rate: '', bytes, part: part === undefined ? '' : ` ${printable(part)}` })
      }
      bar.update(done, {
        rate: rateOf((performance.now() - started.at) / 1000, done - started.done, total - done),
        bytes,
      })
    },
    stop() {
      if (started) bar.stop()
    },
  }
}

const secondsBetweenLines = 5
const secondsBetweenEvents = 0.2

/** For a download: a bar if stderr is a terminal, else a line every few seconds; with `json` a JSON object a line. */
export async function downloadProgress(json: boolean): Promise<ProgressDisplay> {
  const bar = json || !process.stderr.isTTY ? undefined : await progressBar('downloading')
  const began = performance.now()
  let reported = json ? 0 : began
  let first: number | undefined
  return {
    update(progress) {
      const { done, total } = progress
      first ??= done
      if (bar && total !== null) {
        bar.update(progress)
        return
      }
      const now = performance.now()
      if ((isQuiet() && !json) || now - reported < (json ? secondsBetweenEvents : secondsBetweenLines) * 1000) return
      reported = now
      const rate = Math.round((done - first) / ((now - began) / 1000 || 1))
      const line = json
        ? JSON.stringify({ event: 'progress', done, total, rate })
        : `ddi-attach: ${formatSize(done)}${total === null ? '' : ` of ${formatSize(total)}`}, ${formatSize(rate)}/s`
      process.stderr.write(`${line}\n`)
    },
    stop: () => bar?.stop(),
  }
}
