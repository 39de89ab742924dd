import { printable } from '../text.js'
import type { BootContext } from './context.js'
import { measureBoot } from './measure.js'
import type { RootImage } from './root-image.js'

/** Measures what is booted, and says so. @throws as `measureBoot` */
export async function record({ root, log }: BootContext, texts: readonly string[]): Promise<void> {
  for (const { pcr, text } of await measureBoot(root, texts)) log.say(`measured into PCR ${pcr}: ${printable(text)}`)
}

/** What decides which system is booted, as it is measured. */
export function describeRoot({ url, rootHashes, sha256 }: RootImage): readonly string[] {
  return [
    ...(url === null ? [] : [`url=${url}`]),
    ...[...rootHashes.values()].map((hash) => `roothash=${hash}`),
    ...(sha256 === null ? [] : [`sha256=${sha256}`]),
  ]
}
