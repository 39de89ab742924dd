import { copy } from './copy.js'
import { createFile, type FileSource, openFile } from './file.js'
import { openScratch } from './scratch.js'

/** Where files lie in memory. */
const memory = '/dev/shm'

/** A copy of a file in memory, without a name: it is gone with its last user. */
export interface MemoryFile extends AsyncDisposable {
  /** Its path leads to it in this process alone, until the copy is disposed of. */
  readonly file: FileSource
}

/**
 * Copies a file or block device into memory.
 * @throws as {@link openFile}; ERR_DDI_NO_SPACE if the memory that files may have is too small, ERR_DDI_ABORTED
 */
export async function copyToMemory(path: string, signal?: AbortSignal): Promise<MemoryFile> {
  await using from = await openFile(path)
  await using scratch = await openScratch(`${memory}/ddi-image`)
  const target = await createFile(`${scratch.prefix}.copy`, from.size)
  try {
    await copy(from, target, { sparse: true, signal })
    const file = await openFile(`/proc/self/fd/${target.fd}`)
    return {
      file,
      async [Symbol.asyncDispose]() {
        await file.close()
        await target.close()
      },
    }
  } catch (error) {
    await target.close()
    throw error
  }
}
