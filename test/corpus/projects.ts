// Images that other projects made for their own tests: fetched into a folder, unpacked there, and not part of this repository.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { run } from '../support/run.js'
import { repositoryOf } from './repository.js'

/** A public repository, `OWNER/NAME`, and which of its files are images, or pack them. */
interface Project {
  readonly name: string
  readonly files: RegExp
}

export const projects: readonly Project[] = [
  {
    name: 'util-linux/util-linux',
    files: /^tests\/(ts\/.*\.(img|iso)(\.xz|\.gz)?$|ts\/fuzzers\/test_(blkid|fdisk)_fuzz_files\/|ts\/fdisk\/[^/]+$)/,
  },
  { name: 'coreos/coreos-installer', files: /^fixtures\/([^/]+\.xz|iso\/.*\.iso\.xz)$/ },
  { name: 'rust-disk-partition-management/gptman', files: /^tests\/fixtures\/.*\.img$/ },
  { name: 'mbroz/cryptsetup', files: /^tests\/[^/]*(\.img\.xz|images\.tar\.xz|hdr.*\.xz|header.*\.xz)$/ },
  { name: 'Quyzi/gpt', files: /^tests\/fixtures\// },
  { name: 'diskfs/go-diskfs', files: /\/testdata\/[^/]*\.(img|iso|sqs)$/ },
]

/** Unpacks a project's images below a folder, once. @returns where, and how many are in its tree and not in this copy of it */
export function unpackProject({ name, files }: Project, cache: string) {
  const folder = join(cache, name)
  if (existsSync(folder)) return { folder, absent: 0 }
  const making = `${folder}.making`
  rmSync(making, { recursive: true, force: true })
  mkdirSync(making, { recursive: true })
  const repository = repositoryOf(name)
  const paths = run('git', '-C', repository, 'ls-tree', '-r', '-z', '--name-only', 'HEAD').split('\0')
  const wanted = paths.filter((path) => files.test(path))
  let absent = 0
  for (const path of wanted) {
    const { status, stdout } = spawnSync('git', ['-C', repository, 'cat-file', 'blob', `HEAD:${path}`], {
      maxBuffer: 1 << 28,
    })
    if (status !== 0) absent++
    else unpack(join(making, path), stdout)
  }
  renameSync(making, folder)
  return { folder, absent }
}

const unpackers: readonly (readonly [ending: RegExp, command: (path: string) => readonly [string, ...string[]]])[] = [
  [/\.tar\.xz$/, (path) => ['tar', '-xJf', path, '--sparse', '-C', dirname(path)]],
  [/\.xz$/, (path) => ['xz', '-dk', path]],
  [/\.gz$/, (path) => ['gunzip', '-k', path]],
]

function unpack(path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  const [, command] = unpackers.find(([ending]) => ending.test(path)) ?? []
  if (!command) return
  run(...command(path))
  rmSync(path)
}

/** Every file below a folder, sorted. */
export function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}
