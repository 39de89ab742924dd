import { openFileForWriting } from '../bytes/file.js'
import type { Run, Target } from '../bytes/source.js'

/** How the data of ICU begins: udata.h, with the format of packages. */
const format = Buffer.from('CmnD')
const formatAt = 12
const magic = 0x27da

const step = 4 * 1024 * 1024
const tableEntry = 8
const mostEntries = 65536
const mostNameBytes = 4 * 1024 * 1024

/**
 * Overwrites what only other languages than English need in the data of ICU, in a program or library that has it: two
 * thirds of 30 MB, which an initrd has no use for and zeroes of which take no space. Node.js built with `small-icu` has as
 * much left.
 * @returns how many bytes it overwrote
 */
export async function dropLanguages(path: string): Promise<number> {
  await using file = await openFileForWriting(path)
  const start = await findData(file)
  if (start === undefined) return 0
  const dropped = (await itemsOf(file, start)).filter(({ name }) => isForeign(name))
  for (const { run } of dropped) await file.write(run.start, new Uint8Array(run.length))
  return dropped.reduce((sum, { run }) => sum + run.length, 0)
}

async function findData(file: Target): Promise<number | undefined> {
  for (let at = 0; at < file.size; at += step) {
    // What it begins with may lie across the border of two steps.
    const from = Math.max(0, at - formatAt - format.length)
    const bytes = await readBuffer(file, from, Math.min(at + step, file.size) - from)
    for (let found = bytes.indexOf(format); found >= 0; found = bytes.indexOf(format, found + 1))
      if (found >= formatAt && bytes.readUInt16LE(found - formatAt + 2) === magic) return from + found - formatAt
  }
  return undefined
}

interface Item {
  readonly name: string
  readonly run: Run
}

/** The items of a package, but the last, whose end nothing says. */
async function itemsOf(file: Target, start: number): Promise<Item[]> {
  const base = start + (await readBuffer(file, start, 2)).readUInt16LE()
  const room = Math.min(file.size - base - 4, mostEntries * tableEntry + mostNameBytes)
  if (room < 0) return []
  const count = (await readBuffer(file, base, 4)).readUInt32LE()
  if (count > mostEntries || count * tableEntry > room) return []
  const table = await readBuffer(file, base + 4, room)
  const entries = Array.from({ length: count }, (_, index) => ({
    name: nameAt(table, table.readUInt32LE(index * tableEntry) - 4),
    start: base + table.readUInt32LE(index * tableEntry + 4),
  }))
  return entries.flatMap(({ name, start }, index) => {
    const end = entries[index + 1]?.start ?? start
    return name !== undefined && end > start && end <= file.size ? [{ name, run: { start, length: end - start } }] : []
  })
}

function nameAt(table: Buffer, at: number): string | undefined {
  const end = at < 0 ? -1 : table.indexOf(0, at)
  return end < 0 ? undefined : table.toString('latin1', at, end)
}

/** Of one language, an old encoding, or a script without spaces between words. */
function isForeign(name: string): boolean {
  const [, language] = /\/([a-z]{2,3})(?:_\w+)?\.res$/.exec(name) ?? []
  return language === undefined ? /\.(cnv|dict)$/.test(name) : language !== 'en'
}

async function readBuffer(file: Target, offset: number, length: number): Promise<Buffer> {
  const bytes = await file.read(offset, length)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
