import type { Group } from '../../verb.js'

export default {
  summary: 'change the volumes of a disk; those that no free run can hold continue in extension partitions',
} satisfies Group
