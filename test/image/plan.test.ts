// Plans are data: made from real images without privileges, and compared as what they are.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DissectOptions, dissect, openImage, type Plan, type PlanOptions, plan } from '../../lib/index.js'
import { makeVerityImage } from '../support/images.js'
import { temporaryFolder } from '../support/run.js'

/** The plan of an image for x86-64, whatever machine this runs on. */
async function planOf(path: string, dissection: DissectOptions = {}, options: PlanOptions = {}): Promise<Plan> {
  await using image = await openImage(path)
  return plan(await dissect(image, { architectures: ['x86-64'], ...dissection }), options)
}

for (const signature of ['kernel', 'both'] as const)
  test(`signature=${signature}: an unsigned image is refused, whatever root hash is known`, async () => {
    using folder = temporaryFolder()
    const { path, rootHash } = makeVerityImage(folder.path)
    const refused = { code: 'ERR_DDI_SIGNATURE_UNTRUSTED' }
    await assert.rejects(planOf(path, { rootHash, signature }), refused)
    await assert.rejects(planOf(path, { signature }), refused)
    await assert.rejects(planOf(path, { rootHash, signature }, { volumes: ['os_1'] }), refused)
    // What cannot be signed needs no signature.
    await planOf(path, { rootHash, signature }, { volumes: ['os_1_verity'] })
  })
