import { openFile } from '../../../bytes/file.js'
import { readDisk } from '../../../disk/contents.js'
import { imagesAmong } from '../../../store/image.js'
import { type Scrubbed, scrub } from '../../../store/scrub.js'
import { openStore } from '../../../store/store.js'
import { printable } from '../../../text.js'
import { diskArgument } from '../../disk-arguments.js'
import { exitStatus } from '../../exit.js'
import { untilInterrupted } from '../../interrupt.js'
import { print, printJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { array, described, nullable, object, string, word } from '../../schema.js'
import { imageFields } from '../../shapes.js'
import { describeImage } from '../../store.js'
import { verb } from '../../verb.js'

export default verb({
  summary: 'check the table, and read all of every image to compare it with its hash trees',
  arguments: [diskArgument],
  options: {},
  json: object({
    table: array(described(string, 'what is wrong with it')),
    images: array(
      object({
        ...imageFields,
        result: word('verified', 'consistent', 'unprotected', 'damaged'),
        damage: nullable(string),
      }),
    ),
  }),
  examples: ['ddi-attach store check /dev/sda'],
  async run([path], { json }) {
    const { left } = await checkTable(path)
    const scrubbed = await scrubAll(path)
    if (json !== 'off')
      printJson(
        { table: left, images: scrubbed.map(({ image, ...rest }) => ({ ...describeImage(image), ...rest })) },
        json,
      )
    else {
      for (const one of left) print(printable(one))
      for (const { image, result, damage } of scrubbed)
        print(printable(`${image.label}: ${result}${damage === null ? '' : `: ${damage}`}`))
    }
    if (left.length > 0 || scrubbed.some(({ result }) => result === 'damaged')) process.exitCode = exitStatus.image
  },
})

async function checkTable(path: string) {
  await using store = await openStore(path)
  return await store.disk.check()
}

/** Only reads, so that changes need not wait until all is read. */
async function scrubAll(path: string): Promise<readonly Scrubbed[]> {
  await using disk = await openFile(path)
  const { volumes } = await readDisk(disk)
  const signal = untilInterrupted()
  const scrubbed: Scrubbed[] = []
  for (const image of imagesAmong(volumes)) {
    const bar = await progressBar(`reading ${printable(image.label)}`)
    const work = { signal, onProgress: bar.update }
    scrubbed.push(await scrub(disk, image, work).finally(() => bar.stop()))
  }
  return scrubbed
}
