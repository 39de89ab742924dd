import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { extractExt4 } from '../../../lib/mount/ext4.js'
import { run as runTool } from '../../support/run.js'
import { extractAndList, smallTree } from '../extracting.js'
import type { Target } from '../target.js'

const tree = smallTree()
const image = join(tree, '../image.ext4')
const uuid = '11111111-1111-4111-8111-111111111111'
const fixed = `E2FSPROGS_FAKE_TIME=1 mkfs.ext4 -q -b 1024 -I 256 -N 32 -O ^has_journal -U ${uuid} -E hash_seed=${uuid}`
// Without checksums, what lies behind them is reached.
runTool('sh', '-c', `PATH=$PATH:/usr/sbin ${fixed},root_owner=0:0 -O ^metadata_csum -d '${tree}' '${image}' 128k`)

export default {
  seeds: [readFileSync(image)],
  run: (bytes) => extractAndList(bytes, extractExt4),
} satisfies Target
