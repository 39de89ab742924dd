// What hashing.ts has, by Web Crypto. In a browser nothing lies in files: sources there have no `where`.
import type { Addon } from '../../bindings/addon.js'
import { joinOctets } from '../bytes/octets.js'
import { digest } from './digest.js'

export const hashBlocks: Addon['verityHashBlocks'] = async (bytes, blockSize, { algorithm, salt }) => {
  const count = bytes.length / blockSize
  const blocks = Array.from({ length: count }, (_, index) => bytes.subarray(index * blockSize, (index + 1) * blockSize))
  return joinOctets(await Promise.all(blocks.map((block) => digest(algorithm, salt, block))))
}

async function noFiles(): Promise<never> {
  throw new TypeError('in a browser, no bytes lie in files')
}
export const hashLocated: Addon['verityDigestBlocks'] = noFiles
export const compareLocated: Addon['verityCheckBlocks'] = noFiles
