import { createInterface } from 'node:readline/promises'
import { DdiError } from '../errors.js'
import { printable } from '../text.js'

/** @throws ERR_DDI_ABORTED unless the answer is yes; an interrupt ends the process as anywhere */
export async function confirm(question: string): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // Who ends the input has not said yes.
  const ended = new Promise<string>((resolve) => terminal.once('close', () => resolve('')))
  // A terminal in raw mode sends no signal by itself.
  terminal.once('SIGINT', () => {
    terminal.close()
    process.kill(process.pid, 'SIGINT')
  })
  const answer = await Promise.race([terminal.question(`${printable(question)} [y/N] `), ended])
  terminal.close()
  if (!/^\s*y(es)?\s*$/i.test(answer)) throw new DdiError('ERR_DDI_ABORTED', 'nothing was changed')
}
