import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeDirectories } from '../bytes/new-file.js'
import { readIfThere } from '../bytes/small-file.js'
import { systemError } from '../errors.js'
import { parseUuid } from '../uuid.js'

/** Where the initrd says which image it booted from a store: one line, the UUID of its head partition. */
const bootedPath = 'run/ddi/booted'

/** The UUID of the image that this machine runs; undefined if it did not boot from a store. */
export async function runningImage(): Promise<string | undefined> {
  const line = (await readIfThere(join('/', bootedPath)))?.toString('latin1').trim()
  return line !== undefined && parseUuid(line) ? line.toLowerCase() : undefined
}

/** Leaves word of the image that is about to run. @param root the directory that has run/ @throws ERR_DDI_KERNEL, ERR_DDI_NO_SPACE */
export async function leaveRunning(root: string, uuid: string): Promise<void> {
  const path = join(root, bootedPath)
  try {
    await makeDirectories(dirname(path))
    await writeFile(path, `${uuid}\n`)
  } catch (error) {
    throw systemError(error, `cannot write ${path}`)
  }
}
