/**
 * Tasks beside the caller, only so many of them at once. The work of a task starts as it is added; its result is taken after those of
 * all earlier tasks. So a task that has only a result to take, a step, runs after the one before it.
 *
 * The error that is thrown is the first in the order of the queue, and by then nothing is under way: the caller may close what
 * the tasks used. Disposing drops what has not begun, waits for the rest, and throws nothing.
 */
export class BoundedQueue implements AsyncDisposable {
  readonly #limit: number
  /** Oldest first. They settle in this order, each after its work; those after one that failed fail with its error. */
  readonly #tasks: Promise<void>[] = []
  #last: Promise<void> = Promise.resolve()
  #isDropped = false

  /** @param limit how many tasks may be under way */
  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Starts a task as soon as fewer than the limit are under way.
   * @param work runs beside that of other tasks
   * @param take runs after every earlier `take`
   * @throws the error of an earlier task; this one is not started then
   */
  async add<Result>(work: () => Promise<Result>, take: (result: Result) => Promise<void> | void): Promise<void> {
    while (this.#tasks.length >= this.#limit) {
      try {
        await this.#tasks.shift()
      } catch (error) {
        await this.drop()
        throw error
      }
    }
    this.#last = this.#run(work, take, this.#last)
    // Whoever waits for it gets its error; until then it is not an unhandled rejection.
    this.#last.catch(() => {})
    this.#tasks.push(this.#last)
  }

  /** Adds a task that starts when all earlier ones are done. @throws as {@link add} */
  async addStep(step: () => Promise<void>): Promise<void> {
    await this.add(async () => {}, step)
  }

  async #run<Result>(
    work: () => Promise<Result>,
    take: (result: Result) => Promise<void> | void,
    previous: Promise<void>,
  ): Promise<void> {
    // What it throws at once, too, waits for its turn.
    const [worked] = await Promise.allSettled([(async () => await work())()])
    await previous
    if (worked.status === 'rejected') throw worked.reason
    if (!this.#isDropped) await take(worked.value)
  }

  /** Waits for all tasks. @throws as {@link add} */
  async end(): Promise<void> {
    await this.#last
  }

  /** Drops what has not begun, and waits for the rest. */
  async drop(): Promise<void> {
    this.#isDropped = true
    await this.#last.catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drop()
  }
}
