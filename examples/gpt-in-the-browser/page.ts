// Lists the partitions of a disk image that the user of a web page chooses: nothing is uploaded.
// Bundle it with `esbuild page.ts --bundle --format=iife --global-name=page --outfile=page.js`, and open index.html.
import { blobSource, DdiError, partitionTypeName, readGpt } from 'ddi/gpt'

/** One line for each partition of an image, or why there is none. */
export async function describeImage(image: Blob): Promise<readonly string[]> {
  try {
    const { table } = await readGpt(blobSource(image))
    return table.partitions.map(
      ({ label, typeUuid, length }) => `${label}: ${partitionTypeName(typeUuid) ?? typeUuid}, ${length} bytes`,
    )
  } catch (error) {
    if (error instanceof DdiError) return [`${error.message} (${error.code})`]
    throw error
  }
}
