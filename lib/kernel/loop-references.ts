import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { LoopBacking } from './loop.js'

/** A loop device with what it was named by who made it. */
export interface ReferencedLoop extends LoopBacking {
  /** `major:minor` */
  readonly deviceNumber: string
  readonly reference: string
}

/**
 * The references of loop devices (lo_file_name), as udev writes them down for anybody since systemd 254: the kernel tells them with
 * privileges only. Those that udev knows nothing of are left out.
 */
export async function loopReferences(loops: readonly LoopBacking[]): Promise<readonly ReferencedLoop[]> {
  const read = (path: string) => readFile(path, 'utf8').catch(() => '')
  const found = await Promise.all(
    loops.map(async (loop) => {
      const deviceNumber = (await read(`/sys/block/${basename(loop.device)}/dev`)).trimEnd()
      const record = await read(`/run/udev/data/b${deviceNumber}`)
      return { ...loop, deviceNumber, reference: /^E:ID_LOOP_BACKING_FILENAME=(.*)$/m.exec(record)?.[1] ?? '' }
    }),
  )
  return found.filter(({ reference }) => reference !== '')
}
