// Hashing blocks on all cores, where they lie. In bundles for browsers, hashing.browser.ts takes its place.
import { type Addon, addon } from '../../bindings/addon.js'

/** The salted digests of the blocks of `bytes`, one after the other. @throws ERR_DDI_ADDON_MISSING */
export const hashBlocks: Addon['verityHashBlocks'] = (...given) => addon().verityHashBlocks(...given)
/** The same of blocks in files. @throws ERR_DDI_ADDON_MISSING; ENODATA if a file ends before */
export const hashLocated: Addon['verityDigestBlocks'] = (...given) => addon().verityDigestBlocks(...given)
/** The blocks in files that differ from their digests in files. @throws as {@link hashLocated} */
export const compareLocated: Addon['verityCheckBlocks'] = (...given) => addon().verityCheckBlocks(...given)
