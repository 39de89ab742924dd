import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { run } from '../test/support/run.js'

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
  report(
    `${(theirs / mine).toFixed(1)} times as fast`,
    theirs / mine >= target,
    `at least ${Number(target.toFixed(2))}`,
  )
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

/** A file of random bytes. @param size in bytes, a multiple of 16 MiB */
export function makeRandomFile(path: string, size: number): void {
  const block = Buffer.alloc(16 * 1024 * 1024)
  const fd = openSync(path, 'w')
  for (let written = 0; written < size; written += block.length) writeSync(fd, randomFillSync(block))
  closeSync(fd)
}

/**
 * In each 16 MiB a third is random, a tenth zeroes, and the rest text that packs well: the sources of the programs that run this.
 * @param size in bytes, a multiple of 16 MiB
 */
export function makeMixedFile(path: string, size: number): void {
  const block = Buffer.alloc(16 * 1024 * 1024)
  const sources = readdirSync('dist/lib', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  const text = Buffer.concat(sources.map((name) => readFileSync(join('dist/lib', name))))
  const random = Math.floor(block.length / 3)
  const zeroes = Math.floor(block.length / 10)
  block.fill(text, random + zeroes)
  const fd = openSync(path, 'w')
  for (let written = 0; written < size; written += block.length) writeSync(fd, randomFillSync(block, 0, random))
  closeSync(fd)
}

/** Prints how much memory a command takes at the most, all of its process included. @param scratch path of a file to be made */
export function reportMemory(command: readonly string[], scratch: string, mebibytes: number): void {
  run('/usr/bin/time', '--format=%M', `--output=${scratch}`, ...command)
  const most = Number(readFileSync(scratch, 'utf8')) / 1024
  report(`${most.toFixed(1)} MiB of memory at most, all of Node included`, most <= mebibytes, `at most ${mebibytes}`)
}
