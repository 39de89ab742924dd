import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../support/run.js'
import { mutate } from './mutate.js'
import { type Random, randomFrom } from './random.js'

/** A reader of hostile bytes: a file `targets/NAME.ts` exports one as its default. */
export interface Target {
  /** What mutations start from: the same in every process. */
  readonly seeds: readonly Uint8Array[]
  /** Throws a DdiError for what it refuses, or an assertion about what it accepts; all but a DdiError is a finding. */
  readonly run: (bytes: Buffer) => unknown
  /** Of a text, what means something in it. */
  readonly words?: readonly string[]
  /** Makes an input of its own. */
  readonly generate?: (random: Random) => Buffer
  /** Inputs that are too large to be changed: they run once, as they are. */
  readonly large?: readonly (() => Buffer)[]
  /** Makes checksums right again, so that what lies behind them is reached. */
  readonly mend?: (bytes: Buffer) => void
}

const folder = join(packageRoot, 'dist/test/fuzz/targets')

export function targetNames(): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .map((name) => name.slice(0, -'.js'.length))
    .sort()
}

/** What was found or thought of before, `test/fuzz/corpus/NAME/*`. */
export function corpusOf(name: string): readonly Buffer[] {
  const path = join(packageRoot, 'test/fuzz/corpus', name)
  try {
    return readdirSync(path)
      .sort()
      .map((file) => readFileSync(join(path, file)))
  } catch {
    return []
  }
}

/** A target with all that it starts from. */
export interface LoadedTarget extends Target {
  readonly name: string
  readonly starts: readonly Buffer[]
}

/** @param name of a target, or the path of a module that is one */
export async function loadTarget(name: string): Promise<LoadedTarget> {
  const path = name.includes('/') ? name : join(folder, `${name}.js`)
  const { default: target } = (await import(path)) as { readonly default: Target }
  return { ...target, name, starts: [...target.seeds.map((seed) => Buffer.from(seed)), ...corpusOf(name)] }
}

/**
 * The input of a number: always the same one.
 * @param number below the count of what the target starts from: that, as it is
 */
export function inputOf(target: LoadedTarget, seed: number, number: number): Buffer {
  const { starts, large = [], generate, words, mend } = target
  const start = starts[number]
  if (start) return Buffer.from(start)
  const bomb = large[number - starts.length]
  if (bomb) return bomb()
  const random = randomFrom(Math.imul(seed, 0x9e3779b1) + number)
  const isNew = generate !== undefined && (starts.length === 0 || random.oneIn(3))
  const base = isNew ? generate(random) : Buffer.from(random.of(starts))
  const changed = isNew && random.oneIn(3) ? base : mutate(base, random, { words, starts })
  if (mend && !random.oneIn(8)) mend(changed)
  return changed
}
