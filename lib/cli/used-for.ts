import type { DissectedVolume, Dissection } from '../image/dissection.js'

/** What this machine would use a volume for, and whether a root hash covers it. */
export function usedFor({ roles, verity, exceptions }: Dissection, volume: DissectedVolume): string | null {
  for (const [designator, used] of roles) {
    if (used !== volume) continue
    const protection = designator === 'root' || designator === 'usr' ? verity.get(designator) : undefined
    if (!protection?.trusted) return exceptions.get(used) === 'noexec' ? `${designator} (noexec)` : designator
    return `${designator} (${protection.signature ? 'signed' : 'verified'})`
  }
  for (const [designator, { hash, trusted }] of verity)
    if (trusted && hash.kind === 'volume' && hash.volume === volume) return `tree of ${designator}`
  return null
}
