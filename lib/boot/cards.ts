import { attribute, networkCards } from './interfaces.js'
import { lookFor } from './look-for.js'

/** Which network card is looked for. */
export interface WantedCard {
  /** The directory that has sys/. */
  readonly root: string
  /** Its name; null: any card that is not `taken`. */
  readonly device: string | null
  readonly taken: ReadonlySet<string>
  readonly tried: ReadonlySet<string>
  /** The address of the card that the machine booted from, if that is known. */
  readonly mac: string | null
  /** For a card to appear, in ms. */
  readonly patience: number
  readonly signal: AbortSignal | undefined
}

/**
 * The cards to try next. The one that the machine booted from is waited for, although others are there, and tried by itself.
 * @returns none if there are no more
 * @throws ERR_DDI_ABORTED
 */
export async function cardsToTry({
  root,
  device,
  taken,
  tried,
  mac,
  patience,
  signal,
}: WantedCard): Promise<readonly string[]> {
  const fit = async () => {
    const all = await networkCards(root, device)
    return all.filter((card) => !tried.has(card) && (device !== null || !taken.has(card)))
  }
  const booted = async () => {
    const cards = await fit()
    const macs = await Promise.all(cards.map((card) => attribute(root, card, 'address')))
    return cards.filter((_, index) => macs[index] === mac)
  }
  const waitFor = async (look: () => Promise<readonly string[]>) =>
    await lookFor(async () => [await look()].find((cards) => cards.length > 0), patience, signal)
  return (device === null && mac !== null ? await waitFor(booted) : undefined) ?? (await waitFor(fit)) ?? []
}
