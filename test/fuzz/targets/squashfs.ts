import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { extractSquashfs } from '../../../lib/mount/squashfs.js'
import { run as runTool } from '../../support/run.js'
import { extractAndList, smallTree } from '../extracting.js'
import type { Target } from '../target.js'

const tree = smallTree()
const image = join(tree, '../image.squashfs')
const fixed = ['-noappend', '-quiet', '-processors', '1', '-mkfs-time', '0', '-all-time', '0', '-all-root']
runTool('mksquashfs', tree, image, ...fixed)

export default {
  seeds: [readFileSync(image)],
  run: (bytes) => extractAndList(bytes, extractSquashfs),
} satisfies Target
