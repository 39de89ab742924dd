// Reed-Solomon codes over GF(256) as dm-verity has them (Documentation/admin-guide/device-mapper/verity.rst, drivers/md/dm-verity-fec.h):
// 255 bytes, of which the last `roots` are parity; field polynomial 0x11d, first root of the generator α⁰.

/** Bytes of a code, its parity included. */
export const codeLength = 255
const polynomial = 0x11d
const order = 255

const exponents = new Uint8Array(2 * order)
const logarithms = new Uint8Array(256)
for (let exponent = 0, value = 1; exponent < order; exponent++) {
  exponents[exponent] = value
  exponents[exponent + order] = value
  logarithms[value] = exponent
  value <<= 1
  if (value & 0x100) value ^= polynomial
}

function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : exponents[logarithms[a]! + logarithms[b]!]!
}

/** α to a power, which may be negative. */
function power(exponent: number): number {
  return exponents[((exponent % order) + order) % order]!
}

/** Products of all bytes with one. */
function multiples(factor: number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, value) => multiply(value, factor))
}

/** Coefficients of the product of (x − αⁱ), the constant one first, without the leading 1. */
function generator(roots: number): readonly number[] {
  let product = [1]
  for (let root = 0; root < roots; root++)
    product = Array.from(
      { length: product.length + 1 },
      (_, at) => (product[at - 1] ?? 0) ^ multiply(product[at] ?? 0, power(root)),
    )
  return product.slice(0, roots)
}

/** Blocks of one length: the n-th bytes of all make one code. */
export type Interleaved = readonly Uint8Array[]

/**
 * The parity of codes.
 * @param data 255 − `roots` blocks
 * @returns the parity of the first code, that of the second …
 */
export function parityOf(data: Interleaved, roots: number): Uint8Array {
  const length = data[0]!.length
  const coefficients = generator(roots).toReversed().map(multiples)
  const parity = new Uint8Array(length * roots)
  for (const block of data)
    for (let code = 0, at = 0; code < length; code++, at += roots) {
      const feedback = block[code]! ^ parity[at]!
      parity.copyWithin(at, at + 1, at + roots)
      parity[at + roots - 1] = 0
      if (feedback !== 0) for (let n = 0; n < roots; n++) parity[at + n]! ^= coefficients[n]![feedback]!
    }
  return parity
}

/**
 * Corrects codes in place, at most ⌊roots ÷ 2⌋ bytes in each; what has more errors stays as it is.
 * @param blocks the data of codes
 * @param parity as `parityOf` returns it
 * @returns how many bytes of data were corrected, and how many codes have too many errors
 */
export function correct(blocks: Interleaved, parity: Uint8Array, roots: number): { corrected: number; failed: number } {
  const length = blocks[0]!.length
  const result = { corrected: 0, failed: 0 }
  for (const [code, syndromes] of brokenCodes(blocks, parity, roots, length)) {
    const errors = findErrors(syndromes)
    if (!errors) {
      result.failed++
      continue
    }
    for (const [at, difference] of errors) {
      const block = blocks[at]
      if (!block) continue
      block[code]! ^= difference
      result.corrected++
    }
  }
  return result
}

/** The codes whose syndromes are not all zero. */
function* brokenCodes(blocks: Interleaved, parity: Uint8Array, roots: number, length: number) {
  const sums = Array.from({ length: roots }, () => new Uint8Array(length))
  for (const [root, sum] of sums.entries()) {
    const step = multiples(power(root))
    for (const block of blocks) for (let code = 0; code < length; code++) sum[code] = step[sum[code]!]! ^ block[code]!
    for (let code = 0; code < length; code++)
      for (let n = 0; n < roots; n++) sum[code] = step[sum[code]!]! ^ parity[code * roots + n]!
  }
  for (let code = 0; code < length; code++)
    if (sums.some((sum) => sum[code] !== 0)) yield [code, sums.map((sum) => sum[code]!)] as const
}

/** Where a code is wrong, and by what: undefined if there are too many errors. */
function findErrors(syndromes: readonly number[]): ReadonlyMap<number, number> | undefined {
  const locator = locatorOf(syndromes)
  const count = locator.length - 1
  if (count > syndromes.length / 2) return undefined
  // The product with the syndromes, as far as they are known.
  const evaluator = syndromes.map((_, n) =>
    locator.reduce((sum, factor, k) => (k > n ? sum : sum ^ multiply(factor, syndromes[n - k]!)), 0),
  )
  const derivative = locator.map((factor, n) => (n % 2 === 1 ? factor : 0)).slice(1)
  const errors = new Map<number, number>()
  for (let at = 0; at < codeLength; at++) {
    const exponent = codeLength - 1 - at
    if (evaluate(locator, -exponent) !== 0) continue
    const slope = evaluate(derivative, -exponent)
    if (slope === 0) return undefined
    const value = multiply(evaluate(evaluator, -exponent), power(-logarithms[slope]!))
    errors.set(at, multiply(value, power(exponent)))
  }
  return errors.size === count ? errors : undefined
}

/** The value of a polynomial at α to a power. @param coefficients the constant one first */
function evaluate(coefficients: readonly number[], exponent: number): number {
  return coefficients.reduce((sum, factor, n) => sum ^ multiply(factor, power(n * exponent)), 0)
}

/** The polynomial whose roots say where the errors are, by Berlekamp and Massey. */
function locatorOf(syndromes: readonly number[]): readonly number[] {
  let locator = [1]
  let before = [1]
  let length = 0
  let gap = 1
  let last = 1
  for (const [n, syndrome] of syndromes.entries()) {
    let discrepancy = syndrome
    for (let k = 1; k <= length; k++) discrepancy ^= multiply(locator[k] ?? 0, syndromes[n - k]!)
    if (discrepancy === 0) {
      gap++
      continue
    }
    const factor = multiply(discrepancy, power(-logarithms[last]!))
    const changed = Array.from(
      { length: Math.max(locator.length, before.length + gap) },
      (_, at) => (locator[at] ?? 0) ^ multiply(factor, before[at - gap] ?? 0),
    )
    if (2 * length <= n) {
      before = locator
      length = n + 1 - length
      last = discrepancy
      gap = 1
    } else gap++
    locator = changed
  }
  return Array.from({ length: length + 1 }, (_, at) => locator[at] ?? 0)
}
