import type { Group } from '../../verb.js'

export default {
  summary: 'read and change Android super partitions with their logical partitions, and Android sparse images',
} satisfies Group
