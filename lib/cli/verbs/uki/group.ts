import type { Group } from '../../verb.js'

export default {
  summary: 'make and show unified kernel images that boot a machine from a downloaded image',
} satisfies Group
