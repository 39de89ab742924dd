import { availableParallelism, cpus } from 'node:os'

interface Contender {
  readonly name: string
  readonly run: () => Promise<void>
}

interface Comparison {
  readonly title: string
  readonly rounds: number
  readonly ours: Contender
  readonly peer: Contender
  /** At least so many times faster than the peer. */
  readonly target: number
}

/** Times two ways to do one thing, in turns within one run, and prints medians and their ratio. */
export async function compare({ title, rounds, ours, peer, target }: Comparison): Promise<void> {
  const times = { ours: [] as number[], peer: [] as number[] }
  await ours.run()
  await peer.run()
  for (let round = 0; round < rounds; round++) {
    times.ours.push(await time(ours.run))
    times.peer.push(await time(peer.run))
  }
  const [mine, theirs] = [median(times.ours), median(times.peer)]
  console.log(`${title} (median of ${rounds}, ${availableParallelism()} × ${cpus()[0]?.model ?? 'processor'})`)
  console.log(`  ${mine.toFixed(1).padStart(9)} ms  ${ours.name}`)
  console.log(`  ${theirs.toFixed(1).padStart(9)} ms  ${peer.name}`)
  report(`${(theirs / mine).toFixed(1)} times as fast`, theirs / mine >= target, `at least ${target}`)
}

/** Prints a figure with its target, and fails the run where it is missed. */
export function report(figure: string, reached: boolean, target: string): void {
  console.log(`  ${figure} (target: ${target})${reached ? '' : '  MISSED'}`)
  if (!reached) process.exitCode = 1
}

export async function time(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}
