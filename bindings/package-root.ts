import { fileURLToPath } from 'node:url'

/**
 * The package’s directory, with package.json and the addon. It is two levels up from here in dist/lib/, and as many from
 * dist/cli/, where this file is bundled into the command line.
 */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url))
