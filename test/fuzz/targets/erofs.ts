import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { extractErofs } from '../../../lib/mount/erofs.js'
import { run as runTool } from '../../support/run.js'
import { extractAndList, smallTree } from '../extracting.js'
import type { Target } from '../target.js'

const tree = smallTree()
const image = join(tree, '../image.erofs')
runTool('mkfs.erofs', '-T0', '-U11111111-1111-4111-8111-111111111111', '--all-root', image, tree)

export default {
  seeds: [readFileSync(image)],
  run: (bytes) => extractAndList(bytes, extractErofs),
} satisfies Target
