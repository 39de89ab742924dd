import { isMetadataImage, readMetadataImage } from '../../../android/metadata-image.js'
import { expand } from '../../../android/sparse.js'
import { readSuper, type SuperSlot } from '../../../android/super.js'
import { extentSource } from '../../../bytes/extents.js'
import { openFile } from '../../../bytes/file.js'
import type { Source } from '../../../bytes/source.js'
import { findSuper } from '../../../disk/super.js'
import { untilInterrupted } from '../../interrupt.js'
import { note, print, printJson } from '../../output.js'
import { array, integer, object, word } from '../../schema.js'
import { bytes, path, problem, superFields } from '../../shapes.js'
import { inputFile } from '../../streams.js'
import { describeMetadata, printSuper, superArgument, superOptions } from '../../super.js'
import { isTableAlone, tableOptions } from '../../table.js'
import { flag, verb } from '../../verb.js'

export default verb({
  summary: 'show the partitions, groups, devices and layout of a super partition, as lpdump does',
  arguments: [superArgument],
  options: { ...superOptions, all: flag('--all', 'show every slot'), ...tableOptions },
  json: object({
    image: path,
    slots: array(
      object({
        slot: integer,
        copy: word('primary', 'backup'),
        geometry: object({ metadataSize: bytes, slotCount: integer, blockSize: bytes }),
        ...superFields,
        problems: array(problem),
        flags: integer,
      }),
    ),
  }),
  examples: ['ddi-attach android dump super.img', 'ddi-attach android dump super.img --slot b --json=pretty'],
  async run([path], { json, slot, all, volume, ...table }) {
    await using input = await inputFile(path, untilInterrupted())
    await using file = await openFile(input.path)
    const { source } = await expand(file)
    const read = await readerOf(source, path, volume)
    const first = await read(all ? 0 : slot)
    const slots = [first]
    for (let next = 1; all && next < first.geometry.slotCount; next++) slots.push(await read(next))
    for (const { problems } of slots) for (const { message } of problems) note(message)
    if (json !== 'off') return printJson({ image: path, slots: slots.map(describe) }, json)
    for (const [index, one] of slots.entries()) {
      if (index > 0 && !isTableAlone(table)) print('')
      await printSuper(path, one, table)
    }
  },
})

/** What reads a slot: of a super partition, or of a file with nothing but its metadata, which is that of each slot. */
async function readerOf(
  source: Source,
  path: string,
  volume: string | undefined,
): Promise<(slot: number) => Promise<SuperSlot>> {
  if (volume === undefined && (await isMetadataImage(source))) return (slot) => readMetadataImage(source, slot)
  const extents = await findSuper(source, path, volume)
  return (slot) => readSuper(extentSource(source, extents), slot)
}

function describe(found: SuperSlot) {
  const { geometry, metadata, copy, slot } = found
  const problems = found.problems.map(({ code, message }) => ({ code, message }))
  return { slot, copy, geometry, ...describeMetadata(found), problems, flags: metadata.flags }
}
