// Draws what a terminal showed, from standard input: commands behind `$`, comments behind `#`, and what was printed.
// The picture moves by itself wherever SVG is shown, loads nothing, and stands still for readers who want that.
import { readFileSync } from 'node:fs'

// In columns and rows; then in pixels and seconds.
const [columns, rows] = [108, 22]
const [character, line, padding, bar] = [7.8, 19, 18, 34]
const pause = { command: 1.3, output: 0.12, comment: 0.9, end: 6 }

const escaped = (text) => text.replace(/[&<>]/g, (one) => `&#${one.charCodeAt(0)};`)
const kindOf = (text) => (text.startsWith('$ ') ? 'command' : text.startsWith('# ') ? 'comment' : 'output')

function wrapped(text) {
  const parts = text.match(new RegExp(`.{1,${columns}}`, 'gu')) ?? ['']
  return parts.map((part) => ({ text: part, kind: kindOf(text) }))
}

/** Each line with the second at which it appears. */
function timed(lines) {
  let at = 0.3
  return lines.map((one, n) => {
    at += n === 0 ? 0 : pause[lines[n - 1].kind === 'command' ? 'comment' : one.kind]
    return { ...one, at }
  })
}

/** A terminal scrolls when it is full: by how many lines, as a part of all the time. */
function scrolling(lines, total) {
  const steps = lines.flatMap(({ at }, n) =>
    n < rows ? [] : [`${((at / total) * 100).toFixed(2)}% { transform: translateY(${(rows - 1 - n) * line}px) }`],
  )
  return `@keyframes scroll { 0% { transform: none } ${steps.join(' ')} 100% { transform: translateY(${Math.min(0, rows - lines.length) * line}px) } }`
}

function drawn({ text, kind, at }, n, total) {
  const length = [...text].length
  const start = ((at / total) * 100).toFixed(2)
  const fixed = length > 0 ? ` textLength="${(length * character).toFixed(1)}" lengthAdjust="spacingAndGlyphs"` : ''
  return {
    rule: `@keyframes l${n} { 0%, ${start}% { opacity: 0 } ${(Number(start) + 0.01).toFixed(2)}%, 100% { opacity: 1 } }`,
    mark: `<text class="${kind}" style="animation-name: l${n}" x="${padding}" y="${bar + padding + n * line}"${fixed}>${escaped(text)}</text>`,
  }
}

function picture(transcript) {
  const lines = timed(transcript.trim().split('\n').flatMap(wrapped))
  const total = lines.at(-1).at + pause.end
  const [width, height] = [Math.ceil(columns * character) + 2 * padding, bar + rows * line + padding]
  // Below the descenders of the line that has just left.
  const top = bar + 5
  const all = lines.map((one, n) => drawn(one, n, total))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>A run of ddi-attach</title>
<style>
text { font: 13px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #c9d1d9; white-space: pre; animation: ${total.toFixed(1)}s step-end infinite }
.command { fill: #ffffff; font-weight: bold } .comment { fill: #8b949e }
.paper { fill: #0d1117; stroke: #30363d } .dot { fill: #30363d } .lines { animation: scroll ${total.toFixed(1)}s step-end infinite }
${scrolling(lines, total)}
${all.map(({ rule }) => rule).join('\n')}
@media (prefers-reduced-motion) { text, .lines { animation: none } }
</style>
<rect class="paper" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${[0, 1, 2].map((n) => `<circle class="dot" cx="${padding + 6 + n * 18}" cy="18" r="5.5"/>`).join('')}
<svg y="${top}" width="${width}" height="${height - top - 6}" viewBox="0 ${top} ${width} ${height - top - 6}"><g class="lines">
${all.map(({ mark }) => mark).join('\n')}
</g></svg>
</svg>
`
}

process.stdout.write(picture(readFileSync(0, 'utf8')))
