/** Numbers that follow from a seed. */
export interface Random {
  /** From 0 to `limit`, which is not reached. */
  below(limit: number): number
  oneIn(count: number): boolean
  of<Value>(values: readonly Value[]): Value
  bytes(length: number): Buffer
}

/** Tommy Ettinger’s mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const below = (limit: number) => Math.floor((next() / 2 ** 32) * limit)
  return {
    below,
    oneIn: (count) => below(count) === 0,
    of: (values) => values[below(values.length)]!,
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  }
}
