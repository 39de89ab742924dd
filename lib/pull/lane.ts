/** Runs steps one after another beside the caller, who waits only where `depth` of them are ahead. */
export class Lane {
  readonly #depth: number
  #last: Promise<void> = Promise.resolve()
  readonly #running: Promise<void>[] = []

  constructor(depth: number) {
    this.#depth = depth
  }

  /** @throws what an earlier step threw; no step runs after one that failed */
  async run(step: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(step)
    // Whoever waits for it is told; until then it is nobody's.
    this.#last.catch(() => {})
    this.#running.push(this.#last)
    if (this.#running.length > this.#depth) await this.#running.shift()
  }

  /** Waits for all of them. @throws as `run` */
  async end(): Promise<void> {
    this.#running.length = 0
    await this.#last
  }
}
