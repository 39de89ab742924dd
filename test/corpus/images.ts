// Is what `inspect --json` says of other projects' test images what blkid and fdisk say? npm run corpus
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { attempt, cliPath } from '../support/run.js'
import { filesBelow, projects, unpackProject } from './projects.js'
import { replayFdisk } from './replay.js'
import { corpus } from './repository.js'
import { type FileSystem, gptPartitions, mbrPartitions, type Partition, probed } from './theirs.js'

/** What of `inspect --json` is compared. */
interface Ours {
  readonly sectorSize: number
  readonly table: { readonly type: 'gpt' | 'mbr' | 'none' }
  readonly volumes: readonly {
    readonly uuid: string
    readonly typeUuid: string | null
    readonly label: string | null
    readonly extents: readonly { readonly start: number; readonly length: number }[]
    readonly fileSystem: FileSystem | null
  }[]
}

/** Equal, or why it need not be; throws where it has to be and is not. */
type Verdict = 'equal' | `explained: ${string}`

const otherTables = 'a partition table that is neither GPT nor MBR'
const cut = 'a partition ends behind the disk'
const hybrid = 'a file system and a GPT that a protective MBR vouches for: the GPT counts'

function compare(path: string): Verdict {
  const { status, stdout, stderr } = attempt(
    'timeout',
    '30',
    process.execPath,
    cliPath,
    'inspect',
    '--json=short',
    path,
  )
  const code = /\((ERR_DDI_[A-Z_]+)\)/.exec(stderr)?.[1]
  assert.ok(status === 0 || (status === 3 && code), `exit status ${status}: ${stderr}`)
  const ours = status === 0 ? (JSON.parse(stdout) as Ours) : undefined
  if (code === 'ERR_DDI_SHORT_READ') return isCut(path)
  const { fileSystem, table } = probed(path)
  if (fileSystem && ours?.table.type === 'gpt') return `explained: ${hybrid}`
  if (fileSystem) return sameFileSystem(ours, fileSystem)
  if (table === 'gpt' || (table === 'PMBR' && ours?.table.type === 'gpt'))
    return samePartitions(path, ours, gptPartitions(path, ours?.sectorSize ?? 512))
  if (table === 'dos') return samePartitions(path, ours, mbrPartitions(path))
  assert.equal(code, 'ERR_DDI_NO_TABLE')
  return table === null || table === 'PMBR' ? 'equal' : `explained: ${otherTables}`
}

/** blkid does not look whether partitions end where the disk does. */
function isCut(path: string): Verdict {
  const { size } = statSync(path)
  assert.ok(mbrPartitions(path).some((partition) => partition.start + partition.size > size))
  return `explained: ${cut}`
}

function sameFileSystem(ours: Ours | undefined, theirs: FileSystem): Verdict {
  assert.deepEqual([ours?.table.type, ours?.volumes.map(({ fileSystem }) => fileSystem)], ['none', [theirs]])
  return 'equal'
}

function samePartitions(path: string, ours: Ours | undefined, theirs: readonly Partition[]): Verdict {
  const bySector = <Placed extends { readonly start: number }>(partitions: readonly Placed[]) =>
    partitions.toSorted((one, other) => one.start - other.start)
  const found = ours?.volumes.map(({ uuid, typeUuid, label, extents, fileSystem }) => {
    const [{ start, length }] = extents as [{ readonly start: number; readonly length: number }]
    return { start, size: length, type: typeUuid, uuid, label, fileSystem }
  })
  const expected = theirs.map((partition) => ({ ...partition, fileSystem: probed(path, partition).fileSystem }))
  assert.deepEqual(found && bySector(found), bySector(expected))
  return 'equal'
}

/** Not the tests themselves, and no keys or notes beside images. */
function isImage(path: string): boolean {
  return statSync(path).size >= 512 && !/\/tests\/(functions\.sh|ts\/fdisk\/.*)$|\.(conf|BEK)$/.test(path)
}

const cache = join(corpus, 'images')
const counts = new Map<string, number>()
const failures: string[] = []
for (const project of projects) {
  const { folder, absent } = unpackProject(project, cache)
  if (absent > 0) console.log(`${project.name}: ${absent} files are not in this copy`)
  const folders = project.name === 'util-linux/util-linux' ? [folder, replayFdisk(folder, cache)] : [folder]
  for (const path of folders.flatMap(filesBelow).filter(isImage)) {
    try {
      const verdict = compare(path)
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
    } catch (error) {
      failures.push(`${relative(cache, path)}: ${(error as Error).message}`)
    }
  }
}
const total = [...counts.values()].reduce((sum, count) => sum + count, failures.length)
console.log(`${total} images of ${projects.length} projects, as blkid and fdisk see them:`)
for (const [verdict, count] of counts) console.log(`  ${count} ${verdict}`)
for (const failure of failures) console.log(`  different: ${failure}`)
process.exitCode = failures.length > 0 ? 1 : 0
