import { probeDisk } from '../../bindings/blkid.js'
import { isSuper } from '../android/geometry.js'
import type { OpenedFile, Source } from '../bytes/source.js'

/** What a file or block device holds, for people: a table, a file system, a super partition …; undefined if nothing is known. */
export async function heldBy(file: Source & Pick<OpenedFile, 'path' | 'fd'>): Promise<string | undefined> {
  return (await isSuper(file)) ? 'a super partition' : (probeDisk(file) ?? undefined)
}
