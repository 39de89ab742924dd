import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { BoundedQueue } from '../lib/bounded-queue.js'

/** Waits for so many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let at = 0; at < count; at++) await turn()
}

test('results are taken in order, whatever order the work ends in, and no more than the limit is under way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(6)), async (limit, lengths) => {
      const taken: number[] = []
      let [running, most] = [0, 0]
      await using queue = new BoundedQueue(limit)
      for (const [index, length] of lengths.entries())
        await queue.add(
          async () => {
            most = Math.max(most, ++running)
            await turns(length)
            running--
            return index
          },
          (result) => void taken.push(result),
        )
      await queue.end()
      assert.deepEqual(
        taken,
        lengths.map((_, index) => index),
      )
      assert.ok(most <= limit)
    }),
    { numRuns: 50 },
  )
})

test('steps run one after another', async () => {
  const log: string[] = []
  await using queue = new BoundedQueue(3)
  for (const name of ['a', 'b', 'c', 'd'])
    await queue.addStep(async () => {
      log.push(`${name} begins`)
      await turns(2)
      log.push(`${name} ends`)
    })
  await queue.end()
  assert.deepEqual(
    log,
    ['a', 'b', 'c', 'd'].flatMap((name) => [`${name} begins`, `${name} ends`]),
  )
})

test('the first error in order wins, and nothing is under way when it is thrown', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.record({ length: fc.nat(5), fails: fc.constantFrom('no', 'no', 'work', 'take') }), { maxLength: 12 }),
      async (limit, tasks) => {
        let running = 0
        const taken: number[] = []
        const queue = new BoundedQueue(limit)
        const run = async () => {
          for (const [index, { length, fails }] of tasks.entries())
            await queue.add(
              async () => {
                running++
                await turns(length)
                running--
                if (fails === 'work') throw new Error(String(index))
              },
              async () => {
                running++
                await turns(1)
                running--
                if (fails === 'take') throw new Error(String(index))
                taken.push(index)
              },
            )
          await queue.end()
        }
        const first = tasks.findIndex(({ fails }) => fails !== 'no')
        if (first === -1) await run()
        else {
          await assert.rejects(run(), { message: String(first) })
          await assert.rejects(queue.end(), { message: String(first) })
        }
        assert.equal(running, 0)
        assert.deepEqual(
          taken,
          tasks.flatMap((_, index) => (first === -1 || index < first ? [index] : [])),
        )
      },
    ),
    { numRuns: 100 },
  )
})

test('disposing waits for what is under way, takes nothing more and throws nothing', async () => {
  let [running, taken] = [0, 0]
  {
    await using queue = new BoundedQueue(4)
    for (let count = 0; count < 4; count++)
      await queue.add(
        async () => {
          running++
          await turns(3 + count)
          running--
          if (count === 2) throw new Error('nobody waits for it')
        },
        () => void taken++,
      )
    assert.equal(running, 4)
  }
  assert.deepEqual([running, taken], [0, 0])
})
