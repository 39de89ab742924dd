import { extentSource } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { extensionTypeUuid } from '../disk/chain.js'
import { chainVolume, tableVolumes } from '../disk/partition.js'
import { probe } from '../disk/probe.js'
import { foundExtents } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { remainsOf } from '../gpt/remains.js'
import type { DissectedVolume, Dissection } from './dissection.js'
import type { Image } from './open.js'

/**
 * What is left to show of an image whose table is refused: its volumes, for which nothing has a use.
 * @param path of an image file or block device
 * @param refusal why the table is refused
 * @returns undefined if nothing is left; close its image
 * @throws as `openFile`
 */
export async function dissectRemains(path: string, refusal: DdiError): Promise<Dissection | undefined> {
  const file = await openFile(path)
  const close = () => file.close()
  try {
    const remains = await remainsOf(file)
    if (!remains) {
      await close()
      return undefined
    }
    const { table, copy, misplaced } = remains
    const { code, message } = refusal
    const { volumes: whole, orphans } = tableVolumes(table)
    const cut = misplaced
      .filter(({ partition }) => partition.typeUuid !== extensionTypeUuid)
      .map(({ partition, why }) => {
        const defect = new DdiError(code, `partition ${partition.number} ${why}`)
        return chainVolume({ segments: [partition], defect })
      })
    const image: Image = {
      name: path,
      path,
      size: file.size,
      sectorSize: table.sectorSize,
      table: { type: 'gpt', uuid: table.uuid, source: copy, problems: [{ code, message }] },
      volumes: [...whole, ...cut],
      orphans,
      free: [],
      source: file,
      isSparse: false,
      keepOpen: () => {},
      close,
      [Symbol.asyncDispose]: close,
    }
    const volumes: DissectedVolume[] = []
    for (const volume of image.volumes)
      volumes.push({ ...volume, fileSystem: await probe(extentSource(file, foundExtents(volume)), path) })
    const nothing = { roles: new Map(), verity: new Map(), exceptions: new Map(), architectures: [], unused: [] }
    const given = { rootHashes: new Map(), signatures: false }
    return { image, volumes, ...nothing, signature: 'auto', given, problems: [] }
  } catch (error) {
    await close()
    throw error
  }
}
