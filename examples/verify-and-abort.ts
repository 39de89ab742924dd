// Verifies an image, and gives up as soon as some of it is read: verify-and-abort IMAGE ROOT_HASH
import { DdiError, dissect, openImage, verify } from 'ddi'

const [path = 'os.raw', rootHash = ''] = process.argv.slice(2)
const giveUp = new AbortController()
await using image = await openImage(path)
const dissection = await dissect(image, { rootHash })
try {
  await verify(dissection, {
    signal: giveUp.signal,
    onProgress({ done, total, part }) {
      console.log(`${part}: ${done} of ${total} bytes`)
      giveUp.abort()
    },
    onBadBlocks: (designator, { level, first, count }) =>
      console.log(`${designator}: ${level} ${first}, ${count} blocks`),
  })
} catch (error) {
  // As for all calls that take a signal: the name is AbortError.
  if (!(error instanceof DdiError) || error.code !== 'ERR_DDI_ABORTED') throw error
  console.log(`given up: ${error.name}`)
}
