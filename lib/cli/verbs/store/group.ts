import type { Group } from '../../verb.js'

export default {
  summary: 'keep many images on one disk: the newest is tried first, the last good one stays',
} satisfies Group
