import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseLabel } from '../../lib/store/names.js'
import { retention } from '../../lib/store/retention.js'
import { candidates } from '../../lib/store/select.js'
import { afterTry } from '../../lib/store/state.js'
import { packageRoot } from '../support/run.js'

interface Vector {
  readonly name: string
  readonly product: string
  readonly writable: boolean
  readonly refused: readonly string[]
  readonly running: string | null
  readonly images: readonly { readonly label: string; readonly attributes: string }[]
  readonly boots: string | null
  readonly attributesAfterTry: string | null
  readonly removable: readonly string[]
}

const vectors = JSON.parse(readFileSync(join(packageRoot, 'docs/image-store.json'), 'utf8')) as readonly Vector[]

test('every vector of the specification: what boots, what a try makes of it, who may be removed', () => {
  assert.ok(vectors.length > 50)
  for (const { name, product, writable, refused, running, ...vector } of vectors) {
    const images = vector.images.flatMap(({ label, attributes }) => {
      const parsed = parseLabel(label)
      return parsed ? [{ ...parsed, label, attributes: BigInt(attributes) }] : []
    })
    const boots = candidates(images, product, writable).find(({ label }) => !refused.includes(label))
    assert.equal(boots?.label ?? null, vector.boots, name)
    const attributes = boots ? `0x${afterTry(boots.attributes).toString(16)}` : null
    assert.equal(attributes, vector.attributesAfterTry, name)
    const { removable } = retention(
      images,
      new Map(images.filter(({ label }) => label === running).map((image) => [image, 'in use'])),
    )
    assert.deepEqual(
      removable.map(({ label }) => label),
      vector.removable,
      name,
    )
  }
})
