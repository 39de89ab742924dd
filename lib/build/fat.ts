// What a tree may not have if it goes into FAT.
import { lstat, opendir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { DdiError } from '../errors.js'

/**
 * What FAT cannot have of a tree, besides files and directories: its tool would follow some links, to wherever they lead on this machine,
 * and read a FIFO, which has no end.
 * @param excluded what stays away anyway
 * @returns paths from the tree
 */
export async function unfitFiles(tree: string, excluded: readonly string[]): Promise<readonly string[]> {
  const stats = await lstat(tree)
  if (!stats.isDirectory()) return stats.isFile() ? [] : ['']
  const unfitting: string[] = []
  for await (const entry of await opendir(tree, { recursive: true })) {
    const path = relative(tree, join(entry.parentPath, entry.name))
    const isExcluded = excluded.some(
      (one) => one === '' || path === one || path.startsWith(`${one.replace(/\/$/, '')}/`),
    )
    if (!isExcluded && !entry.isFile() && !entry.isDirectory()) unfitting.push(path)
  }
  return unfitting
}

/**
 * Refuses a tree with names that FAT cannot have: its tool would change them, or fail at them without a word.
 * @throws ERR_DDI_DEFINITION
 */
export async function refuseUnfitNames(tree: string, definition: string): Promise<void> {
  const refuse = (what: string) => new DdiError('ERR_DDI_DEFINITION', `${definition}: its file system ${what}`)
  const folded = new Map<string, string>()
  for await (const entry of await opendir(tree, { recursive: true })) {
    const path = relative(tree, join(entry.parentPath, entry.name))
    if (unfit.test(entry.name))
      throw refuse(`has no names with one of \\:*?"<>|, or a dot or space at their end: rename or exclude ${path}`)
    const twin = folded.get(path.toLowerCase())
    if (twin !== undefined)
      throw refuse(`has no two names that differ in their case only: rename or exclude ${twin} or ${path}`)
    folded.set(path.toLowerCase(), path)
  }
}

/** Microsoft's specification of FAT, "Long Directory Entries". */
const unfit = /[\\:*?"<>|\p{Cc}]|[. ]$/u
