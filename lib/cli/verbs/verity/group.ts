import type { Group } from '../../verb.js'

export default { summary: 'make, verify, show and sign the hash trees of dm-verity' } satisfies Group
