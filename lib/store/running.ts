import { readIfThere } from '../bytes/small-file.js'
import { parseUuid } from '../uuid.js'

/** Where the initrd says which image it booted from a store: one line, the UUID of its head partition. */
const bootedPath = '/run/ddi/booted'

/** The UUID of the image that this machine runs; undefined if it did not boot from a store. */
export async function runningImage(): Promise<string | undefined> {
  const line = (await readIfThere(bootedPath))?.toString('latin1').trim()
  return line !== undefined && parseUuid(line) ? line.toLowerCase() : undefined
}
