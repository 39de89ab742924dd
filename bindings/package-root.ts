import { fileURLToPath } from 'node:url'

/**
 * The package’s directory, with package.json and the addon. It is two levels up from here in dist/bindings/, and as many from
 * dist/chunks/, where this file is bundled.
 */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url))
