import { memorySource } from '../../../lib/bytes/memory.js'
import { imageOn } from '../../../lib/image/open.js'
import { aliasedDisk, bombs, checkDisjoint, checkVolumes, randomDisk, sealBoth } from '../tables.js'
import type { Target } from '../target.js'

export default {
  seeds: [aliasedDisk()],
  generate: randomDisk,
  large: bombs,
  mend: sealBoth,
  async run(bytes) {
    await using image = await imageOn(memorySource(bytes), { name: 'image' })
    checkVolumes(image.volumes, bytes.length)
    checkDisjoint(image.volumes)
  },
} satisfies Target
