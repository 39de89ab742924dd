import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { constants as osConstants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { dissect } from '../image/dissect.js'
import { openImage } from '../image/open.js'
import { plan } from '../image/plan.js'
import { copyFrom, copyTo, digestFile, type TreeEntry, walk } from '../mount/files.js'
import { type MountedImage, mountImage } from '../mount/mount.js'
import type { MountOptions } from '../mount/options.js'
import { withTree } from '../mount/tree.js'
import { unmountImage } from '../mount/unmount.js'
import { printable } from '../text.js'
import { readGiven } from './given-file.js'
import { untilInterrupted } from './interrupt.js'
import { dissectOptions, type ImageOptions, type JsonOption } from './options.js'
import { note, noteSource, print, printJson, printTable } from './output.js'

export interface MountVerbOptions extends ImageOptions {
  readonly readWrite?: boolean
  readonly mountOptions?: readonly string[]
  readonly discard?: 'disabled' | 'loop' | 'all'
  readonly check?: boolean
  readonly grow?: boolean
  readonly inMemoryOverlay?: boolean
  readonly owners?: string
  readonly policy?: 'wx'
  readonly passphraseFile?: string
  readonly keyFile?: string
}

async function mountOptions(options: MountVerbOptions): Promise<MountOptions> {
  const { passphraseFile, keyFile, owners, discard } = options
  const key = keyFile ?? passphraseFile
  return {
    ...(await dissectOptions(options)),
    nested: options.nested ?? false,
    writable: options.readWrite ?? false,
    mountOptions: parseMountOptions(options.mountOptions ?? []),
    check: options.check ?? true,
    grow: options.grow ?? true,
    inMemoryOverlay: options.inMemoryOverlay ?? false,
    writeXorExecute: options.policy === 'wx',
    signal: untilInterrupted(),
    ...(discard && { discard }),
    ...(owners !== undefined && { owners: parseOwners(owners) }),
    ...(key !== undefined && { unlock: () => readKey(key, keyFile === undefined) }),
  }
}

/** A passphrase ends with its line; a key file is all of its bytes. */
async function readKey(path: string, isText: boolean): Promise<Uint8Array> {
  const bytes = await readGiven(path)
  const end = isText ? bytes.indexOf('\n') : -1
  return end < 0 ? bytes : bytes.subarray(0, end)
}

function parseMountOptions(given: readonly string[]): Partial<Record<Designator, string>> {
  const designators = new Set<string>([...dpsTypes.values()].map(({ designator }) => designator))
  const parsed = given.map((text) => {
    const [, designator, words] = /^(?:([a-z-]+):)?(.*)$/.exec(text) ?? []
    const name = designator ?? 'root'
    if (!designators.has(name))
      throw new DdiError('ERR_DDI_USAGE', `--mount-options=${text}: write it as DESIGNATOR:OPTIONS`)
    return [name, words ?? ''] as const
  })
  return Object.fromEntries(parsed)
}

function parseOwners(text: string): { inside: number; outside: number; count: number } {
  const [, inside, outside, count] = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(text) ?? []
  if (count === undefined) throw new DdiError('ERR_DDI_USAGE', `--owners=${text}: write it as INSIDE:OUTSIDE:COUNT`)
  return { inside: Number(inside), outside: Number(outside), count: Number(count) }
}

export async function runMount(path: string, directory: string, options: MountVerbOptions): Promise<void> {
  const mounted = await mountImage(path, directory, await mountOptions(options))
  await printMounted(mounted, options)
}

async function printMounted({ name, image, path, volumes }: MountedImage, { json }: JsonOption): Promise<void> {
  if (json !== 'off') {
    printJson({ name, image, path, volumes }, json)
    return
  }
  await printTable(
    ['VOLUME', 'PATH', 'DEVICE', 'FSTYPE', 'RO', 'VERIFIED'],
    volumes.map(({ designator, path, device, fileSystem, readOnly, verified }) => [
      designator,
      path,
      device,
      fileSystem,
      readOnly ? 'yes' : 'no',
      verified ? 'yes' : 'no',
    ]),
  )
}

export async function runUnmount(what: string, { json }: JsonOption): Promise<void> {
  const names = await unmountImage(what)
  if (json !== 'off') printJson({ unmounted: names }, json)
  else for (const name of names) print(name)
}

/** Marks the process that `with` starts in a mount namespace of its own. */
const inNamespace = 'DDI_WITH_NAMESPACE'

export async function runWith(path: string, command: readonly string[], options: MountVerbOptions): Promise<void> {
  if (process.env[inNamespace] !== '1') {
    // A namespace is a process's from its start: this command again, in one whose mounts nobody else sees.
    const again = [
      '--mount',
      '--propagation',
      'slave',
      '--',
      process.execPath,
      ...process.execArgv,
      ...process.argv.slice(1),
    ]
    await passOn(spawn('unshare', again, { stdio: 'inherit', env: { ...process.env, [inNamespace]: '1' } }))
    return
  }
  const folder = await mkdtemp(join(tmpdir(), 'ddi-with-'))
  try {
    const mounted = await mountImage(path, folder, await mountOptions(options))
    try {
      const { [inNamespace]: _, ...env } = process.env
      const [program, ...rest] = command as [string, ...string[]]
      await passOn(spawn(program, rest, { stdio: 'inherit', cwd: folder, env: { ...env, DDI_ROOT: folder } }))
    } finally {
      await mounted.unmount()
    }
  } finally {
    await rmdir(folder)
  }
}

/** Waits for a child, whose exit status is ours, and which gets the signals that are meant for us. */
async function passOn(child: ReturnType<typeof spawn>): Promise<void> {
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, forward)
  const [status, signal] = (await once(child, 'exit').catch((error: unknown) => {
    throw new DdiError('ERR_DDI_NOT_FOUND', `cannot run ${child.spawnfile}: ${(error as Error).message}`, {
      cause: error,
    })
  })) as [number | null, NodeJS.Signals | null]
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, forward)
  process.exitCode = status ?? 128 + osConstants.signals[signal!]
}

export async function runListFiles(path: string, options: MountVerbOptions): Promise<void> {
  await withTree(path, await mountOptions(options), async (root, source) => {
    noteSource(source)
    const entries: TreeEntry[] = []
    for await (const entry of walk(root)) {
      if (options.json === 'off') print(printable(entry.path))
      else entries.push(entry)
    }
    if (options.json !== 'off') printJson(entries, options.json)
  })
}

export async function runDigest(path: string, options: MountVerbOptions): Promise<void> {
  await withTree(path, await mountOptions(options), async (root, source) => {
    noteSource(source)
    const entries: (TreeEntry & { sha256: string | null })[] = []
    for await (const entry of walk(root)) {
      const sha256 = entry.kind === 'file' ? await digestFile(root, entry.path) : null
      if (options.json === 'off') print(manifestLine(entry, sha256))
      else entries.push({ ...entry, sha256 })
    }
    if (options.json !== 'off') printJson(entries, options.json)
  })
}

const manifestTypes = {
  file: 'file',
  folder: 'dir',
  link: 'link',
  'block-device': 'block',
  'character-device': 'char',
  fifo: 'fifo',
  socket: 'socket',
} as const

/** A line of a BSD mtree(5) manifest. */
function manifestLine({ path, kind, mode, uid, gid, size, target }: TreeEntry, sha256: string | null): string {
  const quote = (text: string) =>
    [...Buffer.from(text)]
      .map((byte) =>
        byte > 0x20 && byte < 0x7f && byte !== 0x5c && byte !== 0x23
          ? String.fromCharCode(byte)
          : `\\${byte.toString(8).padStart(3, '0')}`,
      )
      .join('')
  const fields = [
    `type=${manifestTypes[kind]}`,
    `mode=${mode.toString(8).padStart(4, '0')}`,
    `uid=${uid}`,
    `gid=${gid}`,
  ]
  if (kind === 'file') fields.push(`size=${size}`, `sha256digest=${sha256}`)
  if (target !== null) fields.push(`link=${quote(target)}`)
  return `./${quote(path)} ${fields.join(' ')}`
}

export async function runCopyFrom(
  path: string,
  source: string,
  target: string | undefined,
  options: MountVerbOptions,
): Promise<void> {
  await withTree(path, await mountOptions(options), async (root, how) => {
    noteSource(how)
    await copyFrom(root, source, target === undefined || target === '-' ? null : target)
  })
}

export async function runCopyTo(
  path: string,
  source: string,
  target: string,
  options: MountVerbOptions,
): Promise<void> {
  const writable = { ...(await mountOptions(options)), writable: true }
  await withTree(path, writable, (root) => copyTo(root, source, target))
}

export async function runValidate(path: string, options: ImageOptions): Promise<void> {
  await using image = await openImage(path, { nested: options.nested ?? false })
  const dissection = await dissect(image, await dissectOptions(options))
  for (const { message } of [...image.table.problems, ...dissection.problems]) note(message)
  const { volumes } = plan(dissection)
  if (options.json !== 'off')
    printJson(
      { image: path, valid: true, volumes: volumes.map(({ node, verified }) => ({ volume: node, verified })) },
      options.json,
    )
}
